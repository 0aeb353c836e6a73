"""Comments of a file go along when a question is read, changed and saved."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gpuspec.base.comments import with_comments

Command = Callable[..., subprocess.CompletedProcess[str]]
MINE = """\
# asked for by Li
name: shop   # the name
budget:
  # agreed in May
  monthly_usd: 30000  # a # month
workloads:
  # the bot
  - name: "a # b"
    kind: inference
    model: Llama-3.1-8B
    # at noon
    users: 200  # people
    use_case: chat
  - {kind: training, name: t, model: Llama-3.1-8B, tokens: 1e9, deadline_days: 30} # in one line
# the end
"""
SAID = ["# asked for by Li", "# the name", "# agreed in May", "# a # month", "# the bot"]
SAID += ["# at noon", "# people", "# in one line", "# the end"]


def test_comments_of_a_file_and_a_line_meet_in_what_is_saved(
    tmp_path: Path, command: Command
) -> None:
    (tmp_path / "mine.yaml").write_text(MINE, "utf-8")
    line = ("--users", "500", "--budget", "20000/month", "--save")
    for source, saved in (("mine", "first"), ("first", "second")):
        names = (str(tmp_path / f"{name}.yaml") for name in (source, saved))
        done = command("plan", next(names), *line, next(names), "--json")
        assert done.returncode in (0, 3), done.stderr
    first, second = ((tmp_path / f"{n}.yaml").read_text("utf-8") for n in ("first", "second"))
    assert [text.count(said) for said in SAID for text in (first, second)] == [1] * 2 * len(SAID)
    assert "  users: 500  # people\n" in first
    assert "  # agreed in May\n  monthly_usd: 20000  # a # month\n" in first
    assert "# the bot\n- kind: inference\n  name: 'a # b'" in first
    assert first.splitlines()[1:] == second.splitlines()[1:]  # the first line names the file
    assert yaml.safe_load(first)["workloads"][0]["users"] == 500


def test_a_comment_of_what_gave_way_stays_by_its_neighbours() -> None:
    found = with_comments("work:\n  rate: 5\n", "work: # mine\n  # of May\n  users: 3 # all\n")
    assert found == "# of May\n# all\nwork:  # mine\n  rate: 5\n"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=120),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=8,
)
FILES = st.dictionaries(st.text("abc #:", min_size=1, max_size=4), VALUES, max_size=4)


@settings(deadline=None)
@given(FILES, FILES, st.lists(st.tuples(st.integers(0, 40), st.text(max_size=9)), max_size=6))
def test_no_comment_changes_what_a_text_says(new: dict, old: dict, said: list) -> None:
    lines = yaml.safe_dump(old, allow_unicode=True).split("\n")
    for place, words in said:
        i = min(place, len(lines) - 1)
        lines[i] += "  # " + "".join(c for c in words if c.isprintable())
    source = "\n".join(lines)
    try:
        yaml.safe_load(source)
    except yaml.YAMLError:
        return  # a comment in the middle of a value: such a file is refused before
    text = yaml.safe_dump(new, sort_keys=False, allow_unicode=True, width=100)
    assume(yaml.safe_load(text) == new)  # PyYAML writes a lone U+0085 as spaces; no name holds one
    assert yaml.safe_load(with_comments(text, source)) == new
