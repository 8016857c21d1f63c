"""docs/NAMES.md has a row for every name of the reference packages, and no row lies: names.py ROOT

Each row's C names are declared in its header, and its test file exists and mentions the first of them (or the internal function
of the same words behind it). The lists below are the reference's own, in its order.
"""
import re
import sys
from pathlib import Path

LISTS = {
    "types": """
        AuthHeader EncodeAuthConfig AuthConfig DecodeAuthConfig DecodeAuthConfigBody AuthenticateOKBody DistributionInspect
        IndexInfo NetIPNet NetIPNet.MarshalJSON NetIPNet.String NetIPNet.UnmarshalJSON RequestAuthConfig SearchOptions SearchResult
        SearchResults ServiceConfig ServiceConfig.MarshalJSON
        """,
    "registry": """
        DefaultNamespace DefaultRegistryHost IndexHostname IndexServer IndexName AuthClientID DefaultV2Registry CertsDir
        ConvertToHostname GetAuthConfigKey Headers HostCertsDir NewStaticCredentialStore ParseSearchIndexInfo PingV2Registry
        ReadCertsDirectory ResolveAuthConfig SetCertsDir ValidateIndexName ValidateMirror APIEndpoint APIVersion APIVersion.String
        PingResponseError RepositoryInfo ParseRepositoryInfo Service NewService Service.Auth Service.IsInsecureRegistry
        Service.LookupPullEndpoints Service.LookupPushEndpoints Service.ReplaceConfig Service.ResolveRepository Service.Search
        Service.ServiceConfig ServiceOptions
        """,
    "distribution": """
        DeprecatedSchema1ImageError GetRepositories Pull Push Tags AIModelNotSupportedError Config ContentStore ImageConfigStore
        NewImageConfigStoreFromStore ImagePullConfig ImagePushConfig PushLayer PushLayerProvider NewLayerProvidersFromStore
        RegistryResolver
        """,
    "v1": """
        Access Authenticator BasicAuth Client ContainerConfig HubService HubService.GetDeleteToken
        HubService.GetReadToken HubService.GetReadTokenWithAuth HubService.GetWriteToken ImageMetadata ImageService
        ImageService.AddLayer ImageService.AddMetadata ImageService.GetAncestry ImageService.GetLayer
        ImageService.GetMetadata NilAuth RegistryError RepositoryService RepositoryService.Delete
        RepositoryService.DeleteTag RepositoryService.GetImageID RepositoryService.ListTags RepositoryService.SetTag
        SearchResult SearchResults SearchService SearchService.Query TagMap TokenAuth BasicAuth.ApplyAuthentication
        NilAuth.ApplyAuthentication TokenAuth.ApplyAuthentication RegistryError.Error
        """,
}
TITLE = "| name | C names | header | test file |"
COMMENT = re.compile(r"/\*.*?\*/", re.S)
C_NAME = re.compile(r"`(\w+)(\(\))?`")


def tables(text):
    """The rows of each table, by the heading above it."""
    found, heading = {}, None
    for line in text.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ").strip()
        elif line.startswith("|"):
            found.setdefault(heading, []).append(line)
    return found


def is_declared(name, is_function, header):
    if is_function:
        return re.search(rf"\b{name}\s*\(", header)
    return re.search(rf"\b{name}\b", header)


def check_row(root, cells):
    """What is wrong with one row."""
    name, c_names, header, test = cells
    faults = [f"{name}: an empty cell"] if not all(cells) else []
    declared = root / "include" / header.strip("`")
    tested = root / test.strip("`")
    if not declared.is_file():
        return faults + [f"{name}: no header {header}"]
    text = COMMENT.sub("", declared.read_text())
    names = C_NAME.findall(c_names)
    if not names:
        return faults + [f"{name}: no C name"]
    faults += [f"{name}: {c_name} is not declared in {header}" for c_name, call in names
               if not is_declared(c_name, call, text)]
    if not tested.is_file() or not tested.is_relative_to(root / "tests"):
        return faults + [f"{name}: no test file {test}"]
    first = names[0][0]
    if not re.search(rf"\b{first}\b|\b{first.replace('davit_', 'dv_', 1)}\b", tested.read_text()):
        faults.append(f"{name}: {test} does not mention {first}")
    return faults


def check_table(root, heading, lines):
    faults = [] if lines[:1] == [TITLE] else [f"{heading}: the table does not begin with {TITLE}"]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    faults += [f"{heading}: not four cells: {' | '.join(row)}" for row in rows if len(row) != 4]
    rows = [row for row in rows if len(row) == 4]
    have, wanted = [row[0].strip("`") for row in rows], LISTS[heading].split()
    if have != wanted:
        faults += [f"{heading}: no row for {name}" for name in wanted if name not in have]
        faults += [f"{heading}: {name} is none of the names" for name in have if name not in wanted]
        if sorted(have) == sorted(wanted) or len(set(have)) != len(have):
            faults.append(f"{heading}: rows in another order, or twice")
    return faults + [fault for row in rows for fault in check_row(root, row)]


def main():
    root = Path(sys.argv[1]).resolve()
    found = tables((root / "docs" / "NAMES.md").read_text())
    faults = [f"no table under the heading {heading}" for heading in LISTS if heading not in found]
    if [heading for heading in found if heading in LISTS] != list(LISTS):
        faults.append(f"the tables are not in the order {', '.join(LISTS)}")
    for heading in LISTS:
        faults += check_table(root, heading, found.get(heading, []))
    print("\n".join(faults))
    sys.exit(1 if faults else 0)


main()
