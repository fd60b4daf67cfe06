"""How many faults put into the code its tests find: `python benchmarks/mutants.py stats` (or faithfulness, theory, verdicts).

Mutants are cosmic-ray's (`pip install cosmic-ray`; nothing else needs it, and the pins leave it out): a seeded sample of places in
the group's files, annotations and the texts of errors left out, and one mutant drawn at each. It is written into a copy of the
checkout, and a forked process, which has all packages imported and nothing of this project, runs the group's tests, the fastest
first, until one fails. killed: a test fails; survived: none does; timeout: the tests take more than five times their processor
time; broken: the code does not import, or the process ends. Only the first counts as found.
"""

import argparse
import ast
import collections
import contextlib
import importlib
import multiprocessing
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import pytest

MEMORY = 12 * 2**30  # bytes of a process: a mutant may ask for any amount
# Group -> its files under src/plumbline, its test files, both as patterns; and pytest's -k: without the slowest.
GROUPS = {
    "stats": (
        "stats.py",
        "tests/test_stats*.py",
        "not any_false and not selected_threshold and not cover and not rarely",
    ),
    "faithfulness": (
        "faithfulness/*.py",
        "tests/test_faithfulness.py tests/test_ranking.py tests/test_patches.py tests/test_image_maps.py",
        "(test_faithfulness and not tied_scores) or test_ranking or stages_write or perturbation_is or chefer "
        "or tied_patches or ties_have or auc_and or shards_change_no or ink_metrics or ink_of",
    ),
    "theory": (
        "theory/*.py",
        "tests/test_theory_*.py",
        "not in_distribution and not away_from_one and not shards_change and not computed_again",
    ),
    # The code that decides and words a verdict.
    "verdicts": (
        "tables/standing.py tables/published.py tables/latex.py studies/alti/tables/published_vs_reproduced.py "
        "studies/alti/tables/comp_suff.py studies/selective_rollout/tables/*.py studies/network_diffusion/tables/network_diffusion.py "
        "studies/explainn/tables/causal.py studies/explainn/tables/causal_pruning.py studies/explainn/tables/causal_stability.py "
        "studies/explainn/tables/explanation_metrics.py studies/attention_meets_xai/tables/xai_published.py",
        "tests/test_tables_*.py tests/test_published.py tests/test_causal_outputs.py",
        "(test_tables_ and not misses_zero and not right_direction and not of_which_checkpoint) or (test_published.py and (texts_decide or texts_the_difference or cannot or one_more or which_runs or "
        "beside_our or judged or fewer_examples or spread or lacks or first_of or exponent or classifier or stand_beside_ours)) or "
        "(test_causal_outputs.py and (three_answers or are_of or appearance_rate or own_data or _says_ or claims_of or bold_is or "
        "random_map or three_seeds))",
    ),
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("group", choices=GROUPS)
    parser.add_argument("--sample", type=int, default=60)
    parser.add_argument("--seed", type=int, default=17)
    options = parser.parse_args()
    patterns, tests, names = GROUPS[options.group]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "checkout"
        ignored = shutil.ignore_patterns(".*", "results", "__pycache__")
        shutil.copytree(Path(__file__).resolve().parents[1], copy, ignore=ignored)
        os.chdir(copy)
        os.environ |= {"PYTHONPATH": str(copy / "src"), "OMP_NUM_THREADS": "1"}
        sys.path[:0] = [str(copy), str(copy / "src")]
        files = sorted(str(file) for pattern in tests.split() for file in Path().glob(pattern))
        tests = [*files, "-k", names]
        places = collections.defaultdict(list)
        package = copy / "src/plumbline"
        for file in sorted(file for pattern in patterns.split() for file in package.glob(pattern)):
            for place, operator, number in mutants_of(file.read_text()):
                places[file, place].append((operator, number))
        draw = random.Random(options.seed)
        chosen = draw.sample(sorted(places), min(options.sample, len(places)))
        print(f"{options.group}: {len(chosen)} of {len(places)} places, seed {options.seed}", flush=True)
        verdict, about, known = tested("plumbline", tests, None)
        if verdict != "survived":
            sys.exit(
                f"plumbline: error: without a mutant the tests end as '{verdict}' ({about}): mend that first"
            )
        print(f"without a mutant {len(known['seconds'])} tests pass", flush=True)
        for name in known["modules"]:
            with contextlib.suppress(Exception):  # a part that its package alone can import
                importlib.import_module(name)
        sys.dont_write_bytecode = True  # of a mutant
        found = collections.Counter()
        for file, place in chosen:
            source, (operator, number) = file.read_text(), draw.choice(places[file, place])
            mutant = mutated(source, operator, number)
            file.write_text(mutant)
            module = module_of(file.relative_to(copy / "src"))
            verdict, about, _ = tested(module, tests, known)
            file.write_text(source)
            found[verdict] += 1
            old, new = (text.splitlines()[place[0] - 1].strip() for text in (source, mutant))
            print(
                f"{verdict:8} {file.relative_to(copy)}:{place[0]} [{about}]\n  - {old}\n  + {new}", flush=True
            )
    print(", ".join(f"{found[verdict]} {verdict}" for verdict in ("killed", "survived", "timeout", "broken")))


def module_of(file):
    """The name by which a file is imported; a room's tables and figures are modules of plumbline.tables and plumbline.figures."""
    name = ".".join(file.with_suffix("").parts).removesuffix(".__init__")
    return re.sub(r"\.studies\.\w+\.(tables|figures)\.", r".\1.", name)


def mutants_of(source):
    """(place, operator, number among the operator's) of every mutant; a place is (line, character)."""
    try:
        from cosmic_ray.ast import ast_nodes, get_ast
        from cosmic_ray.plugins import get_operator, operator_names
    except ImportError:
        sys.exit(
            "plumbline: error: cosmic-ray makes the mutants and is not installed: pip install cosmic-ray"
        )
    nodes = list(ast_nodes(get_ast(source)))
    silent = [part for node in ast.walk(ast.parse(source)) for part in uninteresting(node)]
    spans = [((p.lineno, p.col_offset), (p.end_lineno, p.end_col_offset)) for p in silent]
    for name in sorted(operator_names()):
        if not get_operator(name).arguments():  # those need a setting
            operator = get_operator(name)()
            for number, place in enumerate(
                start for node in nodes for start, _ in operator.mutation_positions(node)
            ):
                if not any(first <= place < last for first, last in spans):
                    yield place, name, number


def mutated(source, operator, number):
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    return mutate_code(source, get_operator(operator)(), number)


def uninteresting(node):
    """The parts of a node of which a mutant says nothing: annotations and the texts of errors."""
    yield from (getattr(node, name) for name in ("annotation", "returns") if getattr(node, name, None))
    if isinstance(node, ast.Call) and getattr(node.func, "id", "").endswith("Error"):
        yield from (part for part in ast.walk(node) if isinstance(part, ast.JoinedStr))


def tested(module, tests, known):
    """(verdict, the first failed test, modules and seconds of the tests) of the copy as it stands, in a process of its own."""
    fork = multiprocessing.get_context("fork")
    reader, writer = fork.Pipe(duplex=False)
    child = fork.Process(target=run_tests, args=(module, tests, known, writer))
    child.start()
    writer.close()
    try:
        found = reader.recv()
    except EOFError:
        child.join()
        found = ("timeout" if child.exitcode == -signal.SIGXCPU else "broken", f"exit {child.exitcode}", {})
    child.kill()
    child.join()
    return found


def run_tests(module, tests, known, writer):
    quiet = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(quiet, number)
    watch = Watch(known["seconds"] if known else {})
    if known:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        limit = 30 + int(5 * sum(watch.known.values()))
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
    try:
        importlib.import_module(module)
    except BaseException as error:
        writer.send(("broken", repr(error), {}))
        return
    plain = [
        "-x",
        "-n",
        "0",
        "-p",
        "no:cacheprovider",
        "--hypothesis-seed=0",
        f"--basetemp={Path.cwd().parent / 'tmp'}",
    ]
    code = pytest.main([*plain, *tests], plugins=[watch])
    verdict = "survived" if code == 0 else watch.verdict
    places = {name: str(getattr(found, "__file__", None)) for name, found in sys.modules.items()}
    modules = [name for name, place in places.items() if not place.startswith((str(Path.cwd()), "None"))]
    about = watch.about or f"pytest: {code}"
    writer.send((verdict, about, {"modules": modules, "seconds": watch.seconds}))


class Watch:
    """A plugin of pytest: the fastest tests come first; what fails, and the processor time that each test takes."""

    def __init__(self, known):
        self.known, self.seconds, self.verdict, self.about = known, {}, "broken", ""

    def pytest_collection_modifyitems(self, items):
        files = collections.Counter()
        for item in items:
            files[item.path] += self.known.get(item.nodeid, 0)
        items.sort(key=lambda item: (files[item.path], self.known.get(item.nodeid, 0)))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        start = time.process_time()
        done = yield
        self.seconds[item.nodeid] = time.process_time() - start
        return done

    def pytest_collectreport(self, report):
        if report.failed:
            self.about = report.nodeid

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.verdict = "timeout" if "Failed: Timeout" in str(report.longrepr) else "killed"
            self.about = report.nodeid


if __name__ == "__main__":
    main()
