/* Failing the nth allocation, for every n: an error or success, nothing kept, nothing lost (STYLE 10; support/failing_malloc.h). */
#include "../../support/failing_malloc.h"
#include "davit/image_config.h"
#include "davit/load.h"
#include "davit/save.h"
#include "davit/manifest.h"
#include "davit/progress.h"
#include "davit/reference.h"

#include "archive/archive_file.h"
#include "archive/oci_layout.h"
#include "archive/oci_layout_merge.h"
#include "archive/docker_archive.h"
#include "archive/archive_names.h"
#include "archive/compress.h"
#include "archive/diff_id.h"
#include "archive/flatten.h"
#include "archive/staging.h"
#include "archive/tar.h"
#include "archive/unpack.h"
#include "auth/auth_config.h"
#include "auth/authorizer.h"
#include "auth/challenge.h"
#include "auth/config_edit.h"
#include "auth/config_file.h"
#include "auth/credential_helper.h"
#include "auth/credential_search.h"
#include "distribution/bundle_user.h"
#include "distribution/unpack_private.h"
#include "net/error_body.h"
#include "net/request.h"
#include "registry/client.h"
#include "registry/search_filter.h"
#include "registry/search_result.h"
#include "registry/v1_endpoint.h"
#include "registry/v2_ping.h"
#include "service/endpoint.h"
#include "service/index_info.h"
#include "service/service.h"
#include "service/text_list.h"
#include "util/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

typedef int case_fn(davit_error **err); /* as fallible_fn */

static unsigned wrong; /* of the cases of one test: all of them are told */

static int call(void *user, davit_error **err)
{
    return (*(case_fn **)user)(err);
}

static void run_case(const char *name, case_fn *run, int expected)
{
    wrong += fail_each_allocation(name, call, &run, expected);
}

static void assert_nothing_wrong(void)
{
    unsigned count = wrong;
    wrong = 0;
    assert_int_equal(count, 0);
}

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DIGEST "sha256:" HEX

/* --- values ------------------------------------------------------------------------------------------------------- */

static int parse_references(davit_error **err)
{
    static const char *const texts[] = {"alpine", "alpine:3", "127.0.0.1:5000/a/b:tag@" DIGEST,
                                        "docker.io/a/b@" DIGEST};
    for (size_t i = 0; i < DV_COUNT(texts); i++) {
        davit_reference *ref = NULL, *tagged = NULL;
        int r = davit_reference_parse(texts[i], &ref, err);
        if (r == 0)
            r = davit_reference_with_tag(ref, "other", &tagged, err);
        davit_reference_free(tagged);
        davit_reference_free(ref);
        if (r < 0)
            return r;
    }
    return 0;
}

static int parse_bad_reference(davit_error **err)
{
    davit_reference *ref = NULL;
    int r = davit_reference_parse("upper/CASE:x", &ref, err);
    davit_reference_free(ref);
    return r;
}

static int parse_manifest_text(const char *text, davit_error **err)
{
    davit_manifest *m = NULL;
    int r = davit_manifest_parse(text, strlen(text), NULL, &m, err);
    if ((r == 0) != (m != NULL))
        return DAVIT_EINVAL; /* an output that failure touched */
    davit_manifest_free(m);
    return r;
}

#define DESCRIPTOR(type) "{\"mediaType\":\"" type "\",\"digest\":\"" DIGEST "\",\"size\":7}"

static int parse_manifest(davit_error **err)
{
    return parse_manifest_text(
        "{\"schemaVersion\":2,\"mediaType\":\"application/"
        "vnd.oci.image.manifest.v1+json\",\"config\":" DESCRIPTOR("application/vnd.oci.image.config.v1+json") ",\"layers\":[" DESCRIPTOR(
            "application/vnd.oci.image.layer.v1.tar+gzip") "," DESCRIPTOR("x/own-type") "],\"artifactType\":"
                                                                                        "\"a/"
                                                                                        "b\","
                                                                                        "\"subject\""
                                                                                        ":" DESCRIPTOR(
                                                                                            "c/d") ",\"annota"
                                                                                                   "tions\":{"
                                                                                                   "\"k\":"
                                                                                                   "\"v\"}}",
        err);
}

static int parse_index(davit_error **err)
{
    return parse_manifest_text(
        "{\"schemaVersion\":2,\"mediaType\":\"application/"
        "vnd.oci.image.index.v1+json\",\"manifests\":[{\"mediaType\":"
        "\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"" DIGEST
        "\",\"size\":7,\"platform\":{\"os\":\"linux\","
        "\"architecture\":\"arm\",\"variant\":\"v7\"},\"artifactType\":\"own/type\"}]}",
        err);
}

static int choose_platform(davit_error **err)
{
    static const char text[] =
        "{\"schemaVersion\":2,\"mediaType\":\"application/"
        "vnd.oci.image.index.v1+json\",\"manifests\":[{\"mediaType\":"
        "\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"" DIGEST "\",\"size\":7}]}";
    davit_manifest *m = NULL;
    size_t *order = NULL, count = 0;
    int r = davit_manifest_parse(text, strlen(text), NULL, &m, err);
    if (r == 0)
        r = davit_manifest_choose(m, NULL, &order, &count, err);
    free(order);
    davit_manifest_free(m);
    return r;
}

static int parse_image_config(davit_error **err)
{
    static const char text[] =
        "{\"os\":\"linux\",\"architecture\":\"amd64\",\"created\":\"2026-01-02T03:04:05Z\",\"config\":{"
        "\"Env\":[\"A=b\"]},"
        "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" DIGEST "\",\"" DIGEST "\"]}}";
    davit_image_config *config = NULL;
    int r = davit_image_config_parse(text, strlen(text), &config, err);
    davit_image_config_free(config);
    return r;
}

static void values__survive_any_failure(void **state)
{
    run_case("references", parse_references, 0);
    run_case("a bad reference", parse_bad_reference, DAVIT_EINVAL);
    run_case("manifest", parse_manifest, 0);
    run_case("index", parse_index, 0);
    run_case("platform of an index", choose_platform, 0);
    run_case("image config", parse_image_config, 0);
    assert_nothing_wrong();
}

/* --- net ----------------------------------------------------------------------------------------------------------- */

static int use_headers(davit_error **err)
{
    DV_AUTO(dv_headers) h = DV_HEADERS_INIT;
    DV_AUTO(dv_headers) copy = DV_HEADERS_INIT;
    int r = dv_headers_add(&h, "Link", "</v2/x?n=1>; rel=\"next\"", 0, err);
    for (int i = 0; r == 0 && i < 20; i++)
        r = dv_headers_add(&h, "Authorization", "Bearer t", DV_HEADER_SECRET | DV_HEADER_ORIGIN_ONLY, err);
    if (r == 0)
        r = dv_headers_copy(&h, &copy, err);
    if (r == 0 && copy.count != 21)
        return DAVIT_EINVAL;
    if (r == 0 && dv_headers_add(&copy, "bad name", "x", 0, NULL) == 0)
        return DAVIT_EINVAL;
    return r;
}

static int use_urls(davit_error **err)
{
    DV_AUTO(dv_url) base = DV_URL_INIT;
    DV_AUTO(dv_url) to = DV_URL_INIT;
    DV_AUTO(dv_url) copy = DV_URL_INIT;
    int r = dv_url_parse("https://Registry.example:5000/a/../v2/x?q=\xc3\xa4#f", &base, err);
    if (r == 0)
        r = dv_redirect_target(&base, "http://registry.example/y?s=1", true, &to, err);
    if (r == 0)
        r = dv_url_copy(&to, &copy, err);
    return r;
}

static int read_error_body(davit_error **err)
{
    static const char body[] =
        "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"no\",\"detail\":{\"a\":1}},{\"code\":\"UNKNOWN\"}]}";
    DV_AUTO(dv_headers) h = DV_HEADERS_INIT;
    int r = dv_headers_add(&h, "Content-Type", "application/json", 0, err);
    if (r == 0)
        r = dv_headers_add(&h, "WWW-Authenticate",
                           "Bearer realm=\"https://a/t\",error=\"insufficient_scope\"", 0, err);
    return r < 0 ? r : dv_error_body_set(err, 401, &h, body, strlen(body));
}

static void net__survives_any_failure(void **state)
{
    run_case("headers", use_headers, 0);
    run_case("URLs", use_urls, 0);
    run_case("an error's body", read_error_body, DAVIT_EDENIED);
    assert_nothing_wrong();
}

/* --- auth ----------------------------------------------------------------------------------------------------------- */

static int parse_challenges(davit_error **err)
{
    DV_AUTO(dv_headers) h = DV_HEADERS_INIT;
    DV_AUTO(dv_challenges) challenges = DV_CHALLENGES_INIT;
    int r = dv_headers_add(&h, "WWW-Authenticate",
                           "Bearer realm=\"https://a.example/t\",service=\"s\",scope=\"r:x:pull\"", 0, err);
    if (r == 0)
        r = dv_headers_add(&h, "WWW-Authenticate", "Basic realm=\"r\"", 0, err);
    if (r == 0)
        r = dv_challenges_parse(401, &h, &challenges, err);
    if (r == 0 && challenges.count != 2)
        return DAVIT_EINVAL; /* half of it would be a wrong answer */
    return r;
}

static int build_token_request(bool post, davit_error **err)
{
    static const char *const scopes[] = {"repository:a/b:pull", "repository:c:pull,push", NULL};
    char user[] = "u", password[] = "p", identity[] = "i";
    const davit_auth_config credentials = {
        .username = user, .password = password, .identitytoken = post ? identity : NULL};
    const dv_token_question question = {.realm = "https://auth.example/token?x=y",
                                        .service = "a service",
                                        .scopes = scopes,
                                        .credentials = &credentials,
                                        .offline = true};
    DV_AUTO(dv_token_request) request = DV_TOKEN_REQUEST_INIT;
    return dv_token_request_build(&question, &request, err);
}

static int build_token_get(davit_error **err)
{
    return build_token_request(false, err);
}

static int build_token_post(davit_error **err)
{
    return build_token_request(true, err);
}

static int parse_token(davit_error **err)
{
    static const char text[] =
        "{\"token\":\"T\",\"refresh_token\":\"R\",\"expires_in\":300,\"issued_at\":\"2026-01-02T03:04:05Z\"}";
    DV_AUTO(dv_token) token = DV_TOKEN_INIT;
    int r = dv_token_parse(false, text, strlen(text), &token, err);
    return r == 0 && !dv_secret_is_set(&token.refresh_token) ? DAVIT_EINVAL : r;
}

static int parse_config_file(davit_error **err)
{
    static const char text[] =
        "{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"dTpw\"},\"a.example\":{\"username\":\"u\","
        "\"password\":\"p\",\"identitytoken\":\"i\"},\"b.example/path\":{\"auth\":\"dTpw\"}},"
        "\"credHelpers\":{\"c.example\":\"secretservice\"},\"credsStore\":\"pass\",\"HttpHeaders\":{}}";
    dv_config_file *file = NULL;
    int r = dv_config_file_parse("/a/config.json", text, strlen(text), &file, err);
    if (r == 0 && !dv_config_file_find(file, "a.example", NULL))
        r = DAVIT_EINVAL;
    dv_config_file_free(file);
    return r;
}

/* From the first 401 to a token that fits. */
static int use_authorizer(davit_error **err)
{
    static const char *const scopes[] = {"repository:a/b:pull", NULL}, *const trusted[] = {"auth.example",
                                                                                           NULL};
    static const char answer[] = "{\"token\":\"T\",\"expires_in\":300}";
    char user[] = "u", password[] = "p";
    const davit_auth_config credentials = {.username = user, .password = password};
    DV_AUTO(dv_url) origin = DV_URL_INIT;
    DV_AUTO(dv_headers) h = DV_HEADERS_INIT;
    DV_AUTO(dv_token_request) wanted = DV_TOKEN_REQUEST_INIT;
    DV_AUTO(dv_token_request) again = DV_TOKEN_REQUEST_INIT;
    DV_AUTO(dv_secret) value = DV_SECRET_INIT;
    DV_AUTOPTR(dv_authorizer) a = NULL;
    dv_auth_step step = DV_AUTH_RESEND;
    int r = dv_url_parse("https://registry.example/v2/", &origin, err);
    if (r == 0)
        r = dv_authorizer_new(&(dv_authorizer_options){.origin = &origin,
                                                       .credentials = &credentials,
                                                       .trusted_realms = trusted},
                              &a, err);
    if (r == 0)
        r = dv_headers_add(&h, "WWW-Authenticate", "Bearer realm=\"https://auth.example/t\",service=\"s\"", 0,
                           err);
    if (r == 0)
        r = dv_authorizer_challenged(a, &h, scopes, NULL, 1000, &step, &wanted, err);
    if (r == 0 && step == DV_AUTH_FETCH_TOKEN)
        r = dv_authorizer_token_answered(a, &wanted, 200, &h, answer, strlen(answer), 1000, &again, err);
    if (r == 0 && dv_authorizer_get(a, scopes, 2000, &value) && strcmp(value.text, "Bearer T") != 0)
        return DAVIT_EINVAL;
    return r;
}

/* Through the header and back. */
static int encode_auth_config(davit_error **err)
{
    char user[] = "u<", password[] = "p", token[] = "i\xff";
    const davit_auth_config config = {.username = user, .password = password, .identitytoken = token};
    DV_AUTO(davit_auth_config) again = DAVIT_AUTH_CONFIG_INIT;
    char *header = NULL;
    int r = davit_auth_config_encode(&config, &header, err);
    if (r == 0)
        r = davit_auth_config_decode(header, &again, err);
    if (r == 0 && (strcmp(again.username, user) != 0 || strcmp(again.identitytoken, "i\xef\xbf\xbd") != 0))
        r = DAVIT_EINVAL;
    davit_secret_free(header);
    return r;
}

static int ask_static_store(davit_error **err)
{
    char user[] = "u", password[] = "p";
    const davit_auth_config config = {.username = user, .password = password};
    davit_credential_store store;
    char *got_user = NULL, *got_password = NULL;
    int r = davit_static_credential_store_init(&config, &store, err);
    if (r < 0)
        return r;
    r = store.basic(store.user_data, "", &got_user, &got_password, err);
    davit_secret_free(got_user);
    davit_secret_free(got_password);
    davit_credential_store_clear(&store);
    return r;
}

/* An entry put into a text and taken out of it. */
static int change_config_file(davit_error **err)
{
    static const char text[] = "{\n\t\"auths\": {\n\t\t\"https://h/\": {}\n\t},\n\t\"x\": 1\n}";
    const davit_auth_config auth = {.username = (char *)"u", .password = (char *)"p", .email = (char *)"e"};
    DV_AUTO(dv_buf) with = {.max = DV_CONFIG_FILE_MAX, .secret = true};
    DV_AUTO(dv_buf) without = {.max = DV_CONFIG_FILE_MAX, .secret = true};
    int r = dv_config_edit_put(text, strlen(text), "h", &auth, &with, err);
    if (r == 0)
        r = dv_config_edit_remove(dv_buf_text(&with), with.size, "h", &without, err);
    return r < 0 ? r : r == 2 ? 0 : DAVIT_EINVAL;
}

static char *search_environment(const char *name)
{
    return strcmp(name, "DOCKER_AUTH_CONFIG") == 0
               ? (char *)"{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"dTpw\"}}}"
               : NULL;
}

static int search_credentials(davit_error **err)
{
    dv_credential_search s = {.authfile = "/nonexistent/auth.json", .environment = search_environment};
    davit_auth_config found = DAVIT_AUTH_CONFIG_INIT;
    char *target = NULL;
    int r = dv_credential_search_find(&s, "docker.io", NULL, &found, err);
    davit_auth_config_clear(&found);
    if (r == 1)
        r = dv_credential_search_target(&s, &target, err);
    free(target);
    return r;
}

static char *helper_environment(const char *name)
{
    return strcmp(name, "PATH") == 0   ? (char *)"/bin:/usr/bin"
           : strcmp(name, "HOME") == 0 ? (char *)"/"
                                       : NULL;
}

/* Without the process: that a program is missing is found out after all of its allocations but those of its answer. */
static int ask_helper_program(davit_error **err)
{
    static const char answer[] = "{\"ServerURL\":\"h\",\"Username\":\"u\",\"Secret\":\"s\"}";
    const dv_credential_helper h = {.name = "that-is-nowhere", .environment = helper_environment};
    davit_auth_config found = DAVIT_AUTH_CONFIG_INIT;
    int r = dv_credential_helper_get(&h, "h", &found, NULL);
    if (r == DAVIT_ECONFIG)
        r = dv_helper_answer_parse(answer, strlen(answer), "h", &found, err);
    else if (r == DAVIT_ENOMEM)
        dv_error_oom(err);
    davit_auth_config_clear(&found);
    return r == 1 ? 0 : r;
}

static void auth__survives_any_failure(void **state)
{
    run_case("AuthConfig", encode_auth_config, 0);
    run_case("static credential store", ask_static_store, 0);
    run_case("challenges", parse_challenges, 0);
    run_case("token request by GET", build_token_get, 0);
    run_case("token request by POST", build_token_post, 0);
    run_case("token", parse_token, 0);
    run_case("config file", parse_config_file, 0);
    run_case("config file, changed", change_config_file, 0);
    run_case("credentials, searched", search_credentials, 0);
    run_case("credential helper", ask_helper_program, 0);
    run_case("authorizer", use_authorizer, 0);
    assert_nothing_wrong();
}

/* --- above ------------------------------------------------------------------------------------------------------------ */

static int make_endpoints(davit_error **err)
{
    static const char *const mirrors[] = {"https://mirror.example/prefix", NULL};
    static const char *const insecure[] = {"10.0.0.0/8", "a.example:5000", NULL};
    DV_AUTOPTR(dv_service_config) config = NULL;
    DV_AUTO(dv_endpoints) endpoints = DV_ENDPOINTS_INIT;
    int r = dv_service_config_new(&(dv_service_options){.mirrors = mirrors, .insecure_registries = insecure},
                                  &config, err);
    if (r == 0)
        r = dv_endpoints_for_pull(config, "docker.io", &endpoints, err);
    return r == 0 && endpoints.count != 2 ? DAVIT_EINVAL : r;
}

/* A configuration replaced, shown and asked. */
static int use_service(davit_error **err)
{
    static const char *const mirrors[] = {"https://mirror.example/prefix", NULL};
    static const char *const hosts[] = {"b.example", "a.example:5000", NULL};
    const davit_service_options options = {.version = DAVIT_SERVICE_OPTIONS_VERSION,
                                           .flags = DAVIT_SERVICE_V27,
                                           .mirrors = mirrors,
                                           .digest_only_mirrors = mirrors,
                                           .insecure_registries = hosts,
                                           .allow_nondistributable_artifacts = hosts,
                                           .certs_dir = "/nonexistent"};
    DV_AUTOPTR(davit_service) service = NULL;
    DV_AUTOPTR(davit_service_commit) commit = NULL;
    davit_service_config config = DAVIT_SERVICE_CONFIG_INIT;
    davit_api_endpoints *endpoints = NULL;
    char *json = NULL;
    int r = davit_service_new(NULL, &service, err);
    if (r == 0)
        r = davit_service_replace_config(service, &options, &commit, err);
    if (r == 0) {
        davit_service_commit_run(commit);
        r = davit_service_get_config(service, &config, err);
    }
    if (r == 0)
        r = davit_service_config_format(&config, DAVIT_SERVICE_CONFIG_V28, &json, err);
    if (r == 0)
        r = davit_service_lookup_pull_endpoints(service, "docker.io", &endpoints, err);
    if (r == 0 && (config.index_config_count != 3 || endpoints->count != 2))
        r = DAVIT_EINVAL;
    free(json);
    davit_api_endpoints_free(endpoints);
    davit_service_config_clear(&config);
    return r;
}

static int resolve_repository(davit_error **err)
{
    static const char *const mirrors[] = {"https://mirror.example/prefix", NULL};
    DV_AUTOPTR(dv_service_config) config = NULL;
    DV_AUTO(davit_repository_info) info = DAVIT_REPOSITORY_INFO_INIT;
    davit_reference *ref = NULL;
    int r = dv_service_config_new(&(dv_service_options){.mirrors = mirrors}, &config, err);
    if (r == 0)
        r = davit_reference_parse("ubuntu:22.04", &ref, err);
    if (r == 0)
        r = dv_repository_info_of(config, ref, &info, err);
    davit_reference_free(ref);
    return r == 0 && !info.official ? DAVIT_EINVAL : r;
}

static int write_progress(davit_error **err)
{
    static const char expected[] =
        "{\"status\":\"Downloading\",\"progressDetail\":{\"current\":1,\"total\":2},\"progress\":"
        "\"      1B/2B\",\"id\":\"a\"}";
    const davit_progress event = {.kind = DAVIT_PROGRESS_LAYER,
                                  .id = "a",
                                  .action = "Downloading",
                                  .current = 1,
                                  .total = 2,
                                  .has_counts = true};
    char *text = davit_progress_to_json(&event, 80), *failure = davit_progress_error_to_json("why");
    bool half = text && strcmp(text, expected) != 0;
    int r = half ? DAVIT_EINVAL : text && failure ? 0 : dv_error_oom(err);
    free(text);
    free(failure);
    return r;
}

/* Also: a ping whose answer cannot be kept says that there was one. */
static int record_ping(davit_error **err)
{
    DV_AUTO(dv_url) url = DV_URL_INIT;
    DV_AUTO(dv_headers) h = DV_HEADERS_INIT;
    davit_challenges *challenges = NULL;
    int r = dv_url_parse("https://registry.example/v2/", &url, err);
    if (r == 0)
        r = dv_headers_add(&h, "WWW-Authenticate", "Bearer realm=\"https://a.example/t\",service=\"s\"", 0,
                           err);
    if (r == 0) {
        r = dv_ping_record(&url, 401, &h, &challenges, err);
        if (r < 0 && (r != DAVIT_ENOMEM || !davit_error_is_ping_response(*err)))
            r = DAVIT_EINVAL;
    }
    davit_challenges_free(challenges);
    return r;
}

static int make_headers(davit_error **err)
{
    static const char *const meta[] = {"X-Meta-A: 1", "X-Meta-B: 2", NULL};
    davit_header_modifiers *modifiers = NULL;
    int r = davit_headers("docker/28", meta, &modifiers, err);
    davit_header_modifiers_free(modifiers);
    return r;
}

static int write_inspect(davit_error **err)
{
    char feature[] = "f", *features[] = {feature, NULL}, type[] = "a/b";
    davit_inspect_platform platform = {.platform = {.os = "linux"}, .os_features = features};
    const davit_distribution_inspect inspect = {
        .media_type = type, .platforms = &platform, .platform_count = 1};
    char *text = NULL;
    int r = davit_distribution_inspect_format(&inspect, &text, err);
    free(text);
    return r;
}

static int read_daemon_config(davit_error **err)
{
    static const char text[] =
        "{\"registry-mirrors\":[\"https://a\"],\"insecure-registries\":[\"h\",\"10.0.0.0/8\"],"
        "\"mirror-by-digest-only\":[\"https://b\"],\"max-download-attempts\":3}";
    static const char *const options[] = {"https://b", NULL};
    DV_AUTO(dv_daemon_config) c = DV_DAEMON_CONFIG_INIT;
    char **joined = NULL;
    int r = dv_daemon_config_parse("/d.json", text, sizeof(text) - 1, &c, err);
    if (r == 0)
        r = dv_daemon_config_check(&c, options, err);
    if (r == 0)
        r = dv_daemon_config_join(c.registry_mirrors, options, &joined, err);
    dv_text_list_free(joined);
    return r;
}

static int tell_settings(davit_error **err)
{
    static const char *const insecure[] = {"h", "10.0.0.0/8", NULL}, *const headers[] = {"A: b", NULL};
    davit_client_options o = {.headers = headers, .max_concurrent_uploads = 2};
    davit_service_options with = DAVIT_SERVICE_OPTIONS_INIT;
    davit_client c = {.flags = DAVIT_CLIENT_NO_ENVIRONMENT, .http.user_agent = (char *)"test"};
    davit_settings *settings = NULL;
    with.insecure_registries = insecure;
    with.certs_dir = "/certs";
    int r = davit_service_new(&with, &c.service, err);
    if (r == 0)
        r = dv_settings_note(&c, &o, err);
    if (r == 0)
        r = davit_client_settings(&c, &settings, err);
    davit_settings_free(settings);
    dv_setting_rows_clear(&c.noted);
    davit_service_unref(c.service);
    return r;
}

static int read_filters(davit_error **err)
{
    static const char set[] = "{\"is-official\":{\"true\":true},\"stars\":{\"3\":true,\"7\":true}}";
    static const char list[] = "{\"is-official\":[\"true\"]}";
    static const char *const texts[] = {"stars=2", "is-official=true", NULL}, *const bad[] = {"stars=x", NULL};
    davit_search_filters *a = NULL, *b = NULL, *c = NULL, *d = NULL;
    dv_search_wish wish;
    int r = davit_search_filters_parse(set, strlen(set), &a, err);
    if (r == 0)
        r = davit_search_filters_parse(list, strlen(list), &b, err);
    if (r == 0)
        r = davit_search_filters_new(texts, &c, err);
    if (r == 0)
        r = dv_search_filters_read(a, false, &wish, err);
    if (r == 0)
        r = davit_search_filters_new(bad, &d, err);
    if (r == 0)
        r = dv_search_filters_read(d, false, &wish, err);
    davit_search_filters_free(a);
    davit_search_filters_free(b);
    davit_search_filters_free(c);
    davit_search_filters_free(d);
    return r;
}

static int read_search_results(davit_error **err)
{
    static const char text[] = "{\"query\":\"q\",\"results\":[{\"name\":\"a\",\"description\":\"<b>\"},{}]}";
    davit_search_results *results = NULL;
    char *whole = NULL, *list = NULL;
    int r = davit_search_results_parse(text, sizeof(text) - 1, &results, err);
    if (r == 0)
        r = davit_search_results_format(results, &whole, err);
    if (r == 0)
        r = davit_search_results_format_list(results, &list, err);
    free(whole);
    free(list);
    davit_search_results_free(results);
    return r;
}

static int find_v1_endpoint(davit_error **err)
{
    DV_AUTO(dv_url) url = DV_URL_INIT;
    return dv_v1_endpoint_parse("registry.example:5000/v1/", &url, err);
}

/* "hello" through each codec and back, on into its diff_id. */
static int there_and_back(dv_compression kind, davit_error **err)
{
    static const char expected[] = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    DV_AUTO(dv_diff_id_sink) d = DV_DIFF_ID_INIT;
    DV_AUTOPTR(dv_inflate) inflate = NULL;
    DV_AUTOPTR(dv_deflate) deflate = NULL;
    davit_digest got = {0};
    int r = dv_diff_id_init(&d, NULL, err);
    if (r == 0)
        r = dv_inflate_new(NULL, &d.sink, &inflate, err);
    if (r == 0)
        r = dv_deflate_new(kind, 0, dv_inflate_sink(inflate), &deflate, err);
    if (r == 0)
        r = dv_sink_write(dv_deflate_sink(deflate), "hello", 5, err);
    if (r == 0)
        r = dv_sink_finish(dv_deflate_sink(deflate), err);
    if (r < 0)
        return r;
    dv_diff_id_get(&d, &got);
    return strcmp(got.text, expected) == 0 ? 0 : DAVIT_EINVAL;
}

static int use_plain(davit_error **err)
{
    return there_and_back(DV_COMPRESSION_NONE, err);
}

static int use_gzip(davit_error **err)
{
    return there_and_back(DV_COMPRESSION_GZIP, err);
}

static int use_zstd(davit_error **err)
{
    return there_and_back(DV_COMPRESSION_ZSTD, err);
}

static int inflate_old(const void *bytes, size_t size, davit_error **err)
{
    const dv_inflate_options options = {.allow_old = true};
    DV_AUTO(dv_diff_id_sink) d = DV_DIFF_ID_INIT;
    DV_AUTOPTR(dv_inflate) inflate = NULL;
    int r = dv_diff_id_init(&d, NULL, err);
    if (r == 0)
        r = dv_inflate_new(&options, &d.sink, &inflate, err);
    if (r == 0)
        r = dv_sink_write(dv_inflate_sink(inflate), bytes, size, err);
    return r == 0 ? dv_sink_finish(dv_inflate_sink(inflate), err) : r;
}

/* Streams of nothing, as the programs write them. */
static int use_xz(davit_error **err)
{
    static const char empty[] =
        "\xfd"
        "7zXZ\0\0\x04\xe6\xd6\xb4\x46\0\0\0\0\x1c\xdf\x44\x21\x1f\xb6\xf3\x7d\1\0\0\0\0\x04YZ";
    return inflate_old(empty, sizeof(empty) - 1, err);
}

static int use_bzip2(davit_error **err)
{
    static const char empty[] = "BZh9\x17\x72\x45\x38\x50\x90\0\0\0\0";
    return inflate_old(empty, sizeof(empty) - 1, err);
}

static int pass_on_entry(void *user, const dv_tar_entry *e, davit_error **err)
{
    return user ? dv_tar_write_header(user, e, err) : 0;
}

static int drop_data(void *user, const void *bytes, size_t size, davit_error **err)
{
    return 0;
}

static int drop_end(void *user, davit_error **err)
{
    return 0;
}

static const dv_tar_handler tar_handler = {
    .on_entry = pass_on_entry, .on_data = drop_data, .on_end = drop_end};

/* Written with a PAX header, read, written again and read. */
static int use_tar(davit_error **err)
{
    const dv_tar_xattr xattr = {"user.a", "1", 1};
    char name[301] = {0};
    memset(name, 'n', 300);
    const dv_tar_entry entry = {.name = name, .link = name, .xattrs = &xattr, .xattr_count = 1};
    DV_AUTOPTR(dv_tar_reader) second = NULL;
    DV_AUTOPTR(dv_tar_reader) first = NULL;
    int r = dv_tar_reader_new(&tar_handler, NULL, &second, err);
    if (r == 0)
        r = dv_tar_reader_new(&tar_handler, dv_tar_reader_sink(second), &first, err);
    if (r == 0)
        r = dv_tar_write_header(dv_tar_reader_sink(first), &entry, err);
    return r < 0 ? r : dv_sink_finish(dv_tar_reader_sink(first), err);
}

static int refuse_tar(davit_error **err)
{
    char noise[512];
    memset(noise, 'x', sizeof(noise));
    DV_AUTOPTR(dv_tar_reader) reader = NULL;
    int r = dv_tar_reader_new(&tar_handler, NULL, &reader, err);
    return r < 0 ? r : dv_sink_write(dv_tar_reader_sink(reader), noise, sizeof(noise), err);
}

static const dv_tar_xattr trusted = {"trusted.x", "1", 1}, trivial = {"user.x", "1", 1};

/* One of each kind of what unpacking does, in two layers. */
static const dv_tar_entry lower_entries[] = {
    {.type = DV_TAR_DIRECTORY, .name = "d", .link = "", .mode = 0700, .xattrs = &trivial, .xattr_count = 1},
    {.type = DV_TAR_FILE, .name = "d/gone/deeper/f", .link = "", .xattrs = &trusted, .xattr_count = 1},
    {.type = DV_TAR_SYMLINK, .name = "d/l", .link = "to/nothing"},
    {.type = DV_TAR_FILE, .name = "d/l/f", .link = ""},
    {.type = DV_TAR_FILE, .name = ".wh..wh.plnk/1", .link = ""},
    {.type = DV_TAR_HARDLINK, .name = "h", .link = ".wh..wh.plnk/1"},
};
static const dv_tar_entry upper_entries[] = {
    {.type = DV_TAR_DIRECTORY, .name = "d", .link = "", .mode = 0700},
    {.type = DV_TAR_FILE, .name = "d/gone/stays", .link = ""},
    {.type = DV_TAR_FILE, .name = "d/.wh.gone", .link = ""},
    {.type = DV_TAR_FILE, .name = "d/.wh..wh..opq", .link = ""},
};

static int apply_entries(dv_unpack *u, const dv_tar_entry *entries, size_t count, davit_error **err)
{
    dv_sink *sink;
    int r = dv_unpack_layer(u, "x", &sink, err);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = dv_tar_write_header(sink, &entries[i], err);
    return r < 0 ? r : dv_sink_finish(sink, err);
}

static int drop_bytes(dv_sink *s, const void *bytes, size_t size, davit_error **err)
{
    return 0;
}

static int drop_finish(dv_sink *s, davit_error **err)
{
    return 0;
}

static int write_entries(dv_sink *to, const dv_tar_entry *entries, size_t count, davit_error **err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < count; i++)
        r = dv_tar_write_header(to, &entries[i], err);
    return r < 0 ? r : dv_sink_finish(to, err);
}

static int flatten_layers(davit_error **err)
{
    dv_sink nothing = {.write = drop_bytes, .finish = drop_finish}, *to;
    DV_AUTOPTR(dv_flatten) f = NULL;
    int r = dv_flatten_new(NULL, &f, err);
    if (r == 0)
        r = dv_flatten_read(f, "x", &to, err);
    if (r == 0)
        r = write_entries(to, lower_entries, DV_COUNT(lower_entries), err);
    if (r == 0)
        r = dv_flatten_read(f, "y", &to, err);
    if (r == 0)
        r = write_entries(to, upper_entries, DV_COUNT(upper_entries), err);
    if (r == 0)
        r = dv_flatten_begin(f, &nothing, err);
    return r < 0 ? r : dv_flatten_finish(f, err);
}

#define UNPACK_ROOT "test-no-memory-root"

static int unpack_layers(davit_error **err)
{
    const char *const xattrs[] = {"security.selinux", NULL};
    DV_AUTOPTR(dv_staging) staging = NULL;
    DV_AUTOPTR(dv_unpack) u = NULL;
    int r = dv_staging_open(UNPACK_ROOT, DV_STAGING_FORCE, &staging, err);
    if (r == 0)
        r = dv_unpack_new(dv_staging_fd(staging), &(dv_unpack_options){.xattrs = xattrs}, &u, err);
    if (r == 0)
        r = apply_entries(u, lower_entries, DV_COUNT(lower_entries), err);
    if (r == 0)
        r = apply_entries(u, upper_entries, DV_COUNT(upper_entries), err);
    if (r == 0)
        r = dv_unpack_finish(u, err);
    return r < 0 ? r : dv_staging_commit(DV_STEAL(staging), err);
}

static void archive__survives_any_failure(void **state)
{
    char folder[] = "test-no-memory-XXXXXX";
    char *before = get_current_dir_name();
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    run_case("layers", unpack_layers, 0);
    run_case("flattened layers", flatten_layers, 0);
    assert_int_equal(chdir(before), 0);
    assert_int_equal(dv_remove_tree(AT_FDCWD, folder, NULL), 0);
    free(before);
    run_case("no compression", use_plain, 0);
    run_case("gzip", use_gzip, 0);
    run_case("zstd", use_zstd, 0);
    run_case("xz", use_xz, 0);
    run_case("bzip2", use_bzip2, 0);
    run_case("tar", use_tar, 0);
    run_case("no tar", refuse_tar, DAVIT_EFORMAT);
    assert_nothing_wrong();
}

static int find_bundle_user(davit_error **err)
{
    DV_AUTO(dv_bundle_user) u = {0};
    return dv_bundle_user_find("web", "web:x:1:2::/srv:/bin/sh", "a:x:3:web\nb:x:4:web", &u, err);
}

static int write_bundle(davit_error **err)
{
    static const char text[] =
        "{\"os\":\"linux\",\"config\":{\"User\":\"5:6\",\"Cmd\":[\"a\"],\"Env\":[\"B=c\"],"
        "\"Labels\":{\"d\":\"e\"},\"ExposedPorts\":{\"80/tcp\":{}}},"
        "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}";
    davit_image_config *config;
    int r = davit_image_config_parse(text, strlen(text), &config, err);
    if (r < 0)
        return r;
    int dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    r = dv_bundle_write(dir, dir, config, /* rootless= */ true, err);
    unlinkat(dir, "config.json", 0);
    close(dir);
    davit_image_config_free(config);
    return r;
}

#define V1_CONFIG                                                                                   \
    "{\"os\":\"linux\",\"created\":\"2026-01-02T03:04:05Z\",\"author\":\"a\",\"rootfs\":{\"type\":" \
    "\"layers\","                                                                                   \
    "\"diff_ids\":[\"" DIGEST "\"]},\"history\":[{\"created_by\":\"x\"}]}"

static int read_docker_documents(davit_error **err)
{
    static const char manifest[] =
        "[{\"Config\":\"c\",\"RepoTags\":[\"a:1\",\"b:2\"],\"Layers\":[\"x\",\"y\"],\"Parent\":\"p\"}]";
    static const char repositories[] = "{\"a\":{\"1\":\"" HEX "\",\"2\":\"" HEX "\"}}";
    static const char v1[] = "{\"id\":\"i\",\"created\":\"t\",\"container_config\":{\"Cmd\":[\"a\",\"b\"]}}";
    DV_AUTO(dv_docker_manifest) m = {0};
    DV_AUTO(dv_docker_repositories) tags = {0};
    DV_AUTO(dv_buf) config = DV_BUF_INIT(1u << 20);
    dv_v1_image images[2] = {{.bytes = v1, .size = sizeof(v1) - 1}, {.bytes = v1, .size = sizeof(v1) - 1}};
    davit_digest_parse(DIGEST, &images[0].diff_id, NULL);
    images[1].diff_id = images[0].diff_id;
    int r = dv_docker_manifest_parse(manifest, sizeof(manifest) - 1, &m, err);
    if (r == 0)
        r = dv_docker_repositories_parse(repositories, sizeof(repositories) - 1, &tags, err);
    return r < 0 ? r : dv_v1_images_to_config(images, 2, &config, err);
}

static int ignore_v1(void *user, const void *bytes, size_t size, davit_error **err)
{
    (void)user, (void)bytes, (void)size, (void)err;
    return 0;
}

static int write_docker_documents(davit_error **err)
{
    static const char *const tags[] = {"a:1", "b:2"};
    davit_image_config *config = NULL;
    DV_AUTO(dv_buf) out = DV_BUF_INIT(1u << 20);
    int r = davit_image_config_parse(V1_CONFIG, strlen(V1_CONFIG), &config, err);
    if (r < 0)
        return r;
    size_t count;
    bool valid;
    const dv_docker_layer layer = {.diff_id = davit_image_config_diff_ids(config, &count)[0], .size = 7};
    const dv_docker_image image = {config, &layer, 1, tags, 2};
    r = dv_docker_manifest_format(&image, 1, &out, err);
    if (r == 0)
        r = dv_docker_repositories_format(&image, 1, &out, err);
    if (r == 0)
        r = dv_docker_oci_manifest_format(&image, &out, err);
    if (r == 0)
        r = dv_docker_v1_jsons(&image, ignore_v1, NULL, err);
    if (r == 0)
        r = dv_docker_parent_is_valid(config, config, &valid, err);
    davit_image_config_free(config);
    return r;
}

static int use_layout_documents(davit_error **err)
{
    static const char text[] =
        "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"text/odd\",\"digest\":\"" DIGEST
        "\",\"size\":7,\"annotations\":{"
        "\"io.containerd.image.name\":\"docker.io/library/a:1\",\"org.opencontainers.image.ref.name\":\"b/"
        "c\"}}]}";
    DV_AUTO(dv_oci_layout_index) index = {0};
    DV_AUTO(dv_buf) out = DV_BUF_INIT(1u << 20);
    davit_reference *ref = NULL;
    int r = dv_oci_layout_check(DV_OCI_LAYOUT_TEXT, strlen(DV_OCI_LAYOUT_TEXT), err);
    if (r == 0)
        r = dv_oci_layout_index_parse(text, sizeof(text) - 1, &index, err);
    if (r == 0)
        r = dv_oci_layout_index_format(index.entries, index.count, &out, err);
    if (r == 0)
        r = dv_oci_layout_reference(&index.entries[0], &ref, err);
    davit_reference_free(ref);
    if (r == 0) {
        index.entries[0].image_name = NULL;
        r = dv_oci_layout_reference(&index.entries[0], &ref, err);
        if (r == 0)
            davit_reference_free(ref);
    }
    return r;
}

static int merge_layout_index(davit_error **err)
{
    static const char text[] =
        "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"text/odd\",\"digest\":\"" DIGEST
        "\",\"size\":7,\"annotations\":{\"org.opencontainers.image.ref.name\":\"a\"}}],\"of\":\"others\"}";
    const dv_oci_layout_entry add = {
        .descriptor = {.media_type = "c/d", .digest = {.algorithm = DAVIT_SHA256, .text = DIGEST}, .size = 8},
        .ref_name = "b"};
    DV_AUTO(dv_buf) out = DV_BUF_INIT(1u << 20);
    return dv_oci_layout_index_merge(text, sizeof(text) - 1, &add, &out, err);
}

static char archive_path[64];

/* Where things lie in a file, after one pass; a compressed one is inflated first. */
static int read_archive_file(davit_error **err)
{
    DV_AUTOPTR(dv_archive_file) f = NULL;
    DV_AUTO(dv_buf) manifest = DV_BUF_INIT(4096);
    dv_archive_range range;
    int r = dv_archive_file_open(archive_path, NULL, NULL, &f, err);
    if (r == 0)
        r = dv_archive_file_find(f, "l/2", &range, err);
    if (r == 1)
        r = range.size == 100 ? 0 : DAVIT_EINVAL;
    return r < 0 ? r : dv_archive_file_read(f, "manifest.json", 4096, &manifest, err);
}

static int use_archive_names(davit_error **err)
{
    DV_AUTOPTR(dv_archive_names) names = dv_archive_names_new(free);
    void *found;
    if (!names)
        return dv_error_oom(err);
    int r = dv_archive_names_put(names, "a/b", dv_strdup("1"), err);
    if (r == 0)
        r = dv_archive_names_put(names, "a/b", dv_strdup("2"), err);
    if (r == 0)
        r = dv_archive_names_put_link(names, "c", "a/../d", err);
    if (r == 0)
        r = dv_archive_names_put_link(names, "d", "/a", err);
    return r < 0 ? r : dv_archive_names_find(names, "c/b", &found, err);
}

/* --- load and save, by a client without threads -------------------------------------------------------------------------- */

static dv_buf loaded_archive = DV_BUF_INIT(4u << 20);
static char loaded_store[4096]; /* absolute: getcwd() has memory of its own */

typedef struct archive_sink {
    dv_sink sink;
    dv_buf *to;
} archive_sink;

static int keep_bytes(dv_sink *s, const void *bytes, size_t size, davit_error **err)
{
    (void)err;
    dv_buf_append(((archive_sink *)s)->to, bytes, size);
    return 0;
}

static void put_file(dv_sink *to, const char *name, const void *bytes, size_t size)
{
    const dv_tar_entry e = {
        .type = DV_TAR_FILE, .name = name, .link = "", .size = size, .mode = 0644, .mtime = {.set = true}};
    assert_int_equal(dv_tar_write_header(to, &e, NULL), 0);
    dv_sink_write(to, bytes, size, NULL);
    dv_tar_write_padding(to, size, NULL);
}

/* One layer that is too long for memory and a small one, by a link; a tag. */
static void make_archive(void)
{
    static char layer[40000];
    archive_sink s = {.sink = {.write = keep_bytes}, .to = &loaded_archive};
    DV_AUTO(dv_buf) config = DV_BUF_INIT(4096);
    davit_digest long_id, short_id;
    davit_digest_of(DAVIT_SHA256, layer, sizeof(layer), &long_id, NULL);
    davit_digest_of(DAVIT_SHA256, layer, 100, &short_id, NULL);
    dv_buf_printf(&config, "{\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\",\"%s\"]}}",
                  long_id.text, short_id.text);
    static const char manifest[] = "[{\"Config\":\"c\",\"RepoTags\":[\"a:1\"],\"Layers\":[\"1\",\"l/2\"]}]";
    const dv_tar_entry link = {
        .type = DV_TAR_SYMLINK, .name = "l/2", .link = "../2", .mode = 0777, .mtime = {.set = true}};
    put_file(&s.sink, "1", layer, sizeof(layer));
    put_file(&s.sink, "2", layer, 100);
    assert_int_equal(dv_tar_write_header(&s.sink, &link, NULL), 0);
    put_file(&s.sink, "c", config.data, config.size);
    put_file(&s.sink, "manifest.json", manifest, sizeof(manifest) - 1);
    assert_int_equal(dv_tar_write_end(&s.sink, NULL), 0);
}

static void write_archive(const char *folder, dv_compression kind)
{
    DV_AUTO(dv_buf) packed = DV_BUF_INIT(1u << 20);
    archive_sink to = {.sink = {.write = keep_bytes, .finish = drop_finish}, .to = &packed};
    DV_AUTOPTR(dv_deflate) deflate = NULL;
    assert_int_equal(dv_deflate_new(kind, 0, &to.sink, &deflate, NULL), 0);
    assert_int_equal(dv_sink_write(dv_deflate_sink(deflate), loaded_archive.data, loaded_archive.size, NULL),
                     0);
    assert_int_equal(dv_sink_finish(dv_deflate_sink(deflate), NULL), 0);
    snprintf(archive_path, sizeof(archive_path), "%s/archive", folder);
    int fd = open(archive_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(fd, packed.data, packed.size), packed.size);
    close(fd);
}

static int read_archive(void *bytes, size_t size, size_t *out_size, void *user_data)
{
    size_t *at = user_data, n = loaded_archive.size - *at;
    n = n < size ? n : size;
    memcpy(bytes, loaded_archive.data + *at, n);
    *at += n;
    *out_size = n;
    return 0;
}

static void end_client(davit_client *c)
{
    if (c->extension_free)
        c->extension_free(atomic_load(&c->extension));
}

static int load_archive(davit_error **err)
{
    davit_client c = {.store_dir = loaded_store};
    size_t at = 0;
    int r = davit_load(&c, read_archive, &at, NULL, NULL, err);
    end_client(&c);
    return r;
}

static int drop_piece(const void *bytes, size_t size, void *user_data)
{
    (void)bytes;
    *(size_t *)user_data += size;
    return 0;
}

static int save_as(davit_save_format format, davit_error **err)
{
    static const char *const names[] = {"a", "a:1"};
    davit_client c = {.store_dir = loaded_store, .flags = DAVIT_CLIENT_STORE_READ_ONLY};
    davit_save_options options = DAVIT_SAVE_OPTIONS_INIT;
    size_t size = 0;
    options.format = format;
    int r = davit_save(&c, names, 2, &options, drop_piece, &size, err);
    end_client(&c);
    return r;
}

static int save_docker(davit_error **err)
{
    return save_as(DAVIT_SAVE_DOCKER, err);
}

static int save_oci(davit_error **err)
{
    return save_as(DAVIT_SAVE_OCI, err);
}

static void image_archives__survive_any_failure(void **state)
{
    char folder[] = "test-no-memory-XXXXXX";
    char *before = get_current_dir_name();
    assert_non_null(mkdtemp(folder));
    snprintf(loaded_store, sizeof(loaded_store), "%s/%s/store", before, folder);
    make_archive();
    run_case("docker documents", read_docker_documents, 0);
    run_case("docker documents to write", write_docker_documents, 0);
    run_case("layout documents", use_layout_documents, 0);
    run_case("names of an archive", use_archive_names, 0);
    run_case("layout's index, merged", merge_layout_index, 0);
    write_archive(folder, DV_COMPRESSION_NONE);
    run_case("archive file", read_archive_file, 0);
    write_archive(folder, DV_COMPRESSION_GZIP);
    run_case("compressed archive file", read_archive_file, 0);
    run_case("load", load_archive, 0);
    assert_int_equal(load_archive(NULL), 0);
    run_case("save", save_docker, 0);
    run_case("save as a layout", save_oci, 0);
    dv_buf_clear(&loaded_archive);
    assert_int_equal(dv_remove_tree(AT_FDCWD, folder, NULL), 0);
    free(before);
    assert_nothing_wrong();
}

static void above__survives_any_failure(void **state)
{
    run_case("user of a bundle", find_bundle_user, 0);
    run_case("bundle", write_bundle, 0);
    run_case("daemon config", read_daemon_config, 0);
    run_case("settings", tell_settings, 0);
    run_case("ping", record_ping, 0);
    run_case("search filters", read_filters, DAVIT_EINVAL);
    run_case("search results", read_search_results, 0);
    run_case("v1 endpoint", find_v1_endpoint, 0);
    run_case("headers", make_headers, 0);
    run_case("inspect", write_inspect, 0);
    run_case("endpoints", make_endpoints, 0);
    run_case("service", use_service, 0);
    run_case("repository", resolve_repository, 0);
    run_case("progress", write_progress, 0);
    assert_nothing_wrong();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values__survive_any_failure), cmocka_unit_test(net__survives_any_failure),
        cmocka_unit_test(auth__survives_any_failure),  cmocka_unit_test(archive__survives_any_failure),
        cmocka_unit_test(above__survives_any_failure), cmocka_unit_test(image_archives__survive_any_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
