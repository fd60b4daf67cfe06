"""What a host of the repository reads: workflows, hooks, forms. It parses, and what it names is there."""

import os
import re
import subprocess

import pytest
import yaml

from tests.test_pins import pins
from tests.workflow import ROOT

YAML = (".yaml", ".yml", ".cff")
WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))
FORMS = sorted(path for path in ROOT.glob(".github/ISSUE_TEMPLATE/*.yml") if path.stem != "config")
PAGES = [
    *WORKFLOWS,
    ROOT / ".ci/run",
    ROOT / ".github/pull_request_template.md",
    *sorted(ROOT.glob("*.md")),
    *sorted(ROOT.glob("docs/**/*.md")),
]
TARGETS = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
HOOKS = {"ruff-pre-commit": "ruff", "snakefmt": "snakefmt"}


def tracked():
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def load(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def name_of(path):
    return str(path.relative_to(ROOT))


def steps(path):
    """(job, step) of a workflow."""
    return [(job, step) for job in load(path)["jobs"].values() for step in job["steps"]]


@pytest.mark.slow
def test_every_yaml_file_parses():
    found = [path for path in tracked() if path.suffix in YAML]
    assert ROOT / ".pre-commit-config.yaml" in found
    assert {*WORKFLOWS, *FORMS} <= set(found)
    for path in found:
        assert load(path) is not None, name_of(path)


@pytest.mark.parametrize("path", WORKFLOWS, ids=name_of)
def test_a_workflow_may_read_alone_and_ends(path):
    workflow = load(path)
    assert {"name", True, "permissions", "jobs"} <= set(workflow)  # YAML 1.1 reads the key `on` as true
    assert workflow["permissions"] == {"contents": "read"}
    for job, step in steps(path):
        assert job["timeout-minutes"] <= 120
        assert ("uses" in step) != ("run" in step), step
        assert "@" in step.get("uses", "@")


@pytest.mark.parametrize("path", WORKFLOWS, ids=name_of)
def test_the_python_of_a_workflow_is_one_that_the_pins_were_tested_with(path):
    tested = "3.11"  # the container's and the conda environment's (tests/test_pins.py)
    for job, _ in steps(path):
        image = job.get("container", f"python:{tested}-")
        assert image.startswith(f"python:{tested}-")
        assert job.get("strategy", {}).get("matrix", {}).get("python", [tested]) == [tested]


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_make_target_that_is_named_exists(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        text = "\n".join(
            re.findall(r"`(make[^`]*)`", text) + re.findall(r"^(make.*)$", text, flags=re.MULTILINE)
        )
    else:
        text = "\n".join(line.split("#")[0] for line in text.splitlines())
    for arguments in re.findall(r"(?:^|[\s;&])make((?: +[\w=:/.-]+)*)", text):
        for word in arguments.split():
            if "=" not in word and not word.startswith("-"):
                assert word in TARGETS, f"{name_of(path)}: make {word}"


@pytest.mark.parametrize("path", WORKFLOWS, ids=name_of)
def test_every_script_that_a_workflow_runs_exists(path):
    named = [
        re.findall(r"(?:^|\s)((?:\./|\.ci/|scripts/)\S+)", step.get("run", "")) for _, step in steps(path)
    ]
    for script in sum(named, []):
        assert (ROOT / script).is_file(), script
        assert os.access(ROOT / script, os.X_OK), script


def test_the_two_workflows_run_what_they_are_named_for():
    runs = {path.stem: [step.get("run", "") for _, step in steps(path)] for path in WORKFLOWS}
    assert "make fast" in runs["fast"]
    assert ".ci/run" in runs["full"]


def test_hooks_have_the_pinned_versions():
    found = {}
    for repository in load(ROOT / ".pre-commit-config.yaml")["repos"]:
        name = repository["repo"].rsplit("/", 1)[1]
        assert re.fullmatch(r"v\d+\.\d+\.\d+", repository["rev"]), name
        if name in HOOKS:
            found[HOOKS[name]] = repository["rev"].removeprefix("v")
    assert found == {name: pins()[name] for name in HOOKS.values()}


@pytest.mark.parametrize("path", FORMS, ids=name_of)
def test_an_issue_form_has_what_the_host_asks_for(path):
    form = load(path)
    assert {"name", "description", "body"} <= set(form)
    ids = [part["id"] for part in form["body"]]
    assert len(set(ids)) == len(ids)
    for part in form["body"]:
        assert part["type"] in ("textarea", "input", "checkboxes", "dropdown")
        assert part["attributes"]["label"]
    assert any(part.get("validations", {}).get("required") for part in form["body"])


def test_text_files_end_as_the_hook_wants_them():
    """One line break at the end; but for the folders that the hook leaves alone."""
    (hook,) = (
        hook
        for repository in load(ROOT / ".pre-commit-config.yaml")["repos"]
        for hook in repository["hooks"]
        if hook["id"] == "end-of-file-fixer"
    )
    for path in tracked():
        content = path.read_bytes()
        if content and b"\0" not in content and not re.search(hook["exclude"], name_of(path)):
            assert content.endswith(b"\n") and not content.endswith(b"\n\n"), name_of(path)


def test_no_test_file_is_long():
    """A file of tests is of one module, so that its name is guessed; 500 lines are the most."""
    files = [path for path in tracked() if path.suffix == ".py" and name_of(path).startswith("tests/")]
    lines = {name_of(path): len(path.read_text().splitlines()) for path in files}
    assert lines
    assert [name for name, count in lines.items() if count > 500] == []


def test_named_test_files_exist():
    """Pages and comments name a file of tests, or several by a pattern; the changelog names those of its day."""
    named = {}
    for path in tracked():
        if path.suffix in (".py", ".md", ".yaml", ".smk") and path.name != "CHANGELOG.md":
            for name in re.findall(r"tests/[\w*/]+\.py", path.read_text(encoding="utf-8")):
                named.setdefault(name, []).append(name_of(path))
    assert named
    assert {name: places for name, places in named.items() if not list(ROOT.glob(name))} == {}
