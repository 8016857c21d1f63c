"""The manual pages and `davit help` name the same commands and options."""
import re

import pytest
from support.davit import PROJECT, Davit

HELP_OPTION = re.compile(r"^  (?:-\w, |    )(--[\w-]+)", re.M)
MANUAL_OPTION = re.compile(r"\*(--[\w-]+)\*")
HELP_COMMAND = re.compile(r"^  ([a-z0-9]+) +\S", re.M)
WITHOUT_PAGE = {"help", "version"}      # davit(1) has them


def options_section(page):
    """The text from a heading with OPTIONS in it to the next heading."""
    text = (PROJECT / "man" / page).read_text()
    return "".join(re.findall(r"^# (?:GLOBAL )?OPTIONS\n(.*?)(?=^# |\Z)", text, re.M | re.S))


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    help_text = Davit(tmp_path_factory.mktemp("help"))("help").text
    listed = help_text.split("Commands:\n")[1].split("\n\n")[0]
    return HELP_COMMAND.findall(listed)


def test_every_command_has_a_page_and_every_page_a_command(commands):
    pages = {path.name[len("davit-"):-len(".1.scd")] for path in (PROJECT / "man").glob("davit-*.1.scd")}
    assert pages == set(commands) - WITHOUT_PAGE


def test_the_global_options_of_help_and_manual_are_the_same(davit):
    helped = set(HELP_OPTION.findall(davit("help").text))
    assert helped
    assert helped == set(MANUAL_OPTION.findall(options_section("davit.1.scd")))


def test_the_options_of_each_command_are_the_same(davit, commands):
    """A page may also say what a global option means there."""
    everywhere = set(HELP_OPTION.findall(davit("help").text))
    for command in set(commands) - WITHOUT_PAGE:
        helped = set(HELP_OPTION.findall(davit("help", command).text))
        manual = set(MANUAL_OPTION.findall(options_section(f"davit-{command}.1.scd")))
        assert helped - everywhere == manual - everywhere, command
