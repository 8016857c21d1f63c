"""What a person or a program sees while a pull runs: lines, JSON, bars on a terminal."""
import json
import os
import re

import pytest

from support.davit import FAST
from support.faults import Corrupt, Cut, Pace, Unavailable
from support.terminal import Terminal

KEYS = ["stream", "status", "progressDetail", "progress", "id", "from", "time", "timeNano",
        "errorDetail", "error", "aux"]
ORDER = ["Pulling fs layer", "Waiting", "Downloading", "Verifying Checksum", "Download complete",
         "Pull complete"]
LAYER_LINE = re.compile(r"^([0-9a-f]{12}): (.*)$")


def objects(data):
    """NDJSON, each line one object with the keys that Docker has, in its order."""
    found = []
    for line in data.decode().splitlines():
        pairs = json.loads(line, object_pairs_hook=list)
        names = [k for k, _ in pairs]
        assert names == [k for k in KEYS if k in names], line
        found.append(json.loads(line))
    return found


def states(lines):
    """{layer: its states in order}"""
    found = {}
    for line in lines:
        match = LAYER_LINE.match(line)
        if match:
            found.setdefault(match[1], []).append(match[2])
    return found


# ---- lines ---------------------------------------------------------------------------------------


def test_lines_without_a_terminal(davit, faulty):
    result = davit("pull", faulty.ref)
    assert result.messages[0] == "1.0: Pulling from demo/web"
    assert result.messages[-2:] == [f"Digest: {faulty.image.digest}",
                                    f"Status: Downloaded newer image for {faulty.ref}"]
    assert b"\r" not in result.err and b"\x1b" not in result.err
    layers = states(result.messages)
    assert set(layers) == set(faulty.image.short)
    for seen in layers.values():
        assert [s for s in seen if s in ORDER] == [s for s in ORDER if s in seen]
        assert "Extracting" not in " ".join(seen)


def test_lines_are_few_however_long_it_takes(davit, faulty):
    faulty.fault("blob", Pace(500e3))
    result = davit("--progress", "plain", "pull", faulty.ref)
    assert len(result.messages) <= 3 + 3 * len(ORDER)


def test_every_attempt_is_visible(davit, faulty):
    faulty.fault("blob", Cut(500000), digest=faulty.layer, nth=1)
    result = davit(*FAST, "--progress", "plain", "pull", faulty.ref)
    seen = states(result.messages)[faulty.image.short[0]]
    assert any(re.match(r"Retrying in \d+ seconds?$", s) for s in seen), seen


def test_retry_words_are_singular_at_one(davit, faulty):
    faulty.fault("blob", Unavailable(("Retry-After", "2")), digest=faulty.layer, nth=1)
    result = davit(*FAST, "--progress", "json", "pull", faulty.ref)
    said = {o.get("status") for o in objects(result.err)}
    assert "Retrying in 2 seconds" in said
    assert "Retrying in 1 seconds" not in said


def test_no_progress_is_silence(davit, faulty):
    result = davit("--progress", "none", "pull", faulty.ref)
    assert result.err == b"" and result.text == faulty.ref + "\n"


# ---- JSON ----------------------------------------------------------------------------------------


def test_json_is_dockers_message_objects(davit, faulty):
    faulty.fault("blob", Pace(1.5e6), digest=faulty.layer)
    events = objects(davit("--progress", "json", "pull", faulty.ref).err)
    assert events[0] == {"status": "Pulling from demo/web", "id": "1.0"}
    assert events[-2]["status"] == f"Digest: {faulty.image.digest}"
    assert events[-1]["status"] == f"Status: Downloaded newer image for {faulty.ref}"
    short = faulty.image.short[0]
    mine = [e for e in events if e.get("id") == short]
    assert mine[0] == {"status": "Pulling fs layer", "progressDetail": {}, "id": short}
    assert mine[-1] == {"status": "Pull complete", "progressDetail": {}, "id": short}
    loading = [e for e in mine if e["status"] == "Downloading"]
    size = faulty.image.sizes[faulty.layer]
    assert len(loading) >= 3
    assert [e["progressDetail"]["current"] for e in loading] == sorted(
        e["progressDetail"]["current"] for e in loading)
    for event in loading:
        assert event["progressDetail"]["total"] == size
        assert re.fullmatch(r"\[=*>? *\] +[\d.]+k?M?B/1\.5\d*MB( .*)?", event["progress"]), event
    assert len(loading) <= 2 + 12 * 2, "not more than ten a second"


def test_json_escapes_what_html_would_read(davit, faulty):
    faulty.fault("blob", Pace(1.5e6), digest=faulty.layer)
    err = davit("--progress", "json", "pull", faulty.ref).err
    assert b"\\u003e" in err and b">" not in err


def test_json_to_another_descriptor(davit, faulty):
    read, write = os.pipe()
    run = davit.start("--progress", "json", "--progress-fd", str(write), "pull", faulty.ref,
                      pass_fds=[write])
    os.close(write)
    with open(read, "rb") as pipe:
        events = objects(pipe.read())
    result = run.wait()
    assert result.code == 0 and result.err == b""
    assert events[-1]["status"] == f"Status: Downloaded newer image for {faulty.ref}"


def test_json_tells_the_error_and_so_does_the_line(davit, faulty):
    faulty.fault("blob", Corrupt(9), digest=faulty.layer)
    read, write = os.pipe()
    run = davit.start(*FAST, "--progress", "json", "--progress-fd", str(write), "pull", faulty.ref,
                      pass_fds=[write])
    os.close(write)
    with open(read, "rb") as pipe:
        events = objects(pipe.read())
    result = run.wait()
    assert result.code == 5 and len(result.errors) == 1
    [last] = [e for e in events if "error" in e]
    assert last == events[-1]
    assert last["errorDetail"]["message"] == last["error"]
    assert faulty.layer in last["error"]


def test_a_reader_of_progress_that_leaves_does_not_hang_the_pull(davit, faulty):
    faulty.fault("blob", Pace(2e6))
    read, write = os.pipe()
    run = davit.start("--progress", "json", "--progress-fd", str(write), "pull", faulty.ref,
                      pass_fds=[write])
    os.close(write)
    os.close(read)
    run.wait(15)
    davit("pull", faulty.ref)


@pytest.mark.parametrize("fd", ["99", "-1", "x"])
def test_a_progress_descriptor_that_is_not_open_is_usage(davit, faulty, fd):
    davit.fails({1, 2}, "--progress", "json", "--progress-fd", fd, "pull", faulty.ref)


# ---- a terminal ----------------------------------------------------------------------------------


def watch(davit, faulty, terminal, *args, during=None):
    """Runs a pull with a terminal as standard error; gives the screen at the end."""
    run = davit.start(*args, "pull", faulty.ref, stderr=terminal.fd)
    if during:
        during(run)
    result = run.wait()
    screen = terminal.end()
    assert result.code == 0, screen.text
    assert result.text == faulty.ref + "\n"
    assert screen.unknown == [] and not screen.cursor_hidden
    return screen


@pytest.mark.parametrize("columns", [200, 100, 60, 40, 20])
def test_bars_fit_the_terminal_and_end_in_the_transcript(davit, faulty, columns):
    faulty.fault("blob", Pace(1.5e6))
    with Terminal(columns) as terminal:
        screen = watch(davit, faulty, terminal)
    layers = states(screen.text.splitlines())
    if columns >= 40:
        assert layers == {short: ["Pull complete"] for short in faulty.image.short}
        assert screen.text.splitlines()[0] == "1.0: Pulling from demo/web"
    # nothing but the long last lines may be longer than the screen
    assert screen.wrapped <= -(-90 // columns) * 2
    said = screen.text.replace("\n", "")
    assert f"Digest: {faulty.image.digest}" in said
    assert f"Status: Downloaded newer image for {faulty.ref}" in said


def test_a_wide_terminal_shows_bars_and_counts(davit, faulty):
    faulty.fault("blob", Pace(1e6))
    with Terminal(120) as terminal:
        watch(davit, faulty, terminal)
    assert any(re.search(r"Downloading +\[=+>? *\] +[\d.]+k?M?B/1\.5", shown)
               for shown in terminal.history)


def test_a_terminal_resized_in_mid_pull(davit, faulty):
    faulty.fault("blob", Pace(700e3))

    def during(run):
        for part, columns in enumerate((50, 130, 35, 90), 1):
            faulty.wait_sent(part * 250000)
            terminal.resize(columns, run.process)

    with Terminal(100) as terminal:
        screen = watch(davit, faulty, terminal, during=during)
    finished = [line for line in screen.text.splitlines() if line.endswith("Pull complete")]
    assert len(finished) >= len(faulty.image.short)


def test_more_layers_than_rows_do_not_spoil_the_screen(davit, faulty, images):
    faulty.add_image(images, "tiny100", "demo/tiny:1.0")
    faulty.ref = f"{faulty.host}/demo/tiny:1.0"
    faulty.fault("blob", Pace(2e6))
    with Terminal(80, rows=12) as terminal:
        screen = watch(davit, faulty, terminal)
    shown = states(screen.text.splitlines())
    assert set(shown) <= set(images.image("tiny100").short)
    assert f"Status: Downloaded newer image for {faulty.ref}" in screen.text.replace("\n", "")


def test_an_error_on_a_terminal_stands_on_a_line_of_its_own(davit, faulty):
    faulty.fault("blob", Corrupt(9), digest=faulty.layer)
    with Terminal(200) as terminal:
        run = davit.start(*FAST, "pull", faulty.ref, stderr=terminal.fd)
        assert run.wait().code == 5
        screen = terminal.end()
    lines = screen.text.splitlines()
    assert [line for line in lines if line.startswith("davit: ")] == [lines[-1]]
    assert not screen.cursor_hidden


def test_ctrl_c_leaves_the_terminal_as_it_was(davit, faulty):
    faulty.fault("blob", Pace(100e3))
    with Terminal(100) as terminal:
        run = davit.start("pull", faulty.ref, stderr=terminal.fd)
        faulty.wait_sent(30000)
        run.signal()
        assert run.wait(5).code == 130
        screen = terminal.end()
    assert not screen.cursor_hidden
    assert screen.column == 0, "the prompt comes at the start of a line"


def test_a_dumb_terminal_gets_lines(davit, faulty):
    with Terminal(100) as terminal:
        run = davit.start("pull", faulty.ref, stderr=terminal.fd, env={"TERM": "dumb"})
        assert run.wait().code == 0
        terminal.end()
    assert b"\x1b" not in terminal.raw


def test_bars_can_be_asked_for_and_refused(davit, faulty):
    with Terminal(100) as terminal:
        run = davit.start("--progress", "plain", "pull", faulty.ref, stderr=terminal.fd)
        assert run.wait().code == 0
        terminal.end()
    assert b"\x1b" not in terminal.raw
