"""The documentation is right: its code runs, its settings are valid, its links lead somewhere."""

from __future__ import annotations

import ast
import copy
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import typer
import yaml
from conftest import ROOT, model_directory

from nnpmm import simulation
from nnpmm.cli.main import app
from nnpmm.models import ModelFile
from nnpmm.models.ani import PUBLISHED

DOCS = ROOT / "docs"
SETTINGS = DOCS / "reference" / "settings.md"
SCRIPTS = sorted((ROOT / "benchmarks").glob("*.py"))
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
# Code to be read only is fenced as "py"; a block fenced as "python" is run.
RUN = [
    *(ROOT / "README.md", DOCS / "index.md", DOCS / "files.md", DOCS / "models.md"),
    *(DOCS / "openmm-ml.md", DOCS / "transports.md", DOCS / "campaigns.md"),
    *(DOCS / "relative-binding.md", DOCS / "sampling-python.md", DOCS / "ligand-parameters.md"),
    DOCS / "reference" / "models.md",
]


def blocks(path: Path, language: str) -> list[str]:
    """The fenced code blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(), flags=re.M | re.S)


def test_settings_of_permeation_are_all_listed():
    """Every name that --set and --cluster know, and no other."""
    from nnpmm.campaigns import ClusterSettings
    from nnpmm.permeation.labels.decoupling import DecouplingSettings
    from nnpmm.permeation.labels.umbrella import UmbrellaSettings
    from nnpmm.permeation.runs.protocol import ProtocolSettings

    page = DOCS / "reference" / "permeation-settings.md"
    tables = page.read_text().partition("## Settings")[2].split("| `")[1:]
    found: dict[str, set[str]] = {}
    for row in tables:
        names, _, rest = row.partition(" |")
        if rest.startswith(" default"):
            current = found.setdefault(names.strip("`"), set())
        else:
            current |= set(re.findall(r"\w+", names))
    assert found == {
        "dataset build": set(ProtocolSettings.model_fields) - {"restraint"},
        "label decouple": set(DecouplingSettings.model_fields),
        "label umbrella": set(UmbrellaSettings.model_fields),
    }
    (cluster,) = blocks(page, "yaml")
    assert set(yaml.safe_load(cluster)) == set(ClusterSettings.model_fields)
    ClusterSettings.model_validate(yaml.safe_load(cluster))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def ligand_box():
    """A small ligand in a small box: what the pages call topology, mm_system and positions."""
    from nnpmm import structures

    molecule = structures.molecule_from_smiles("CO", seed=1)
    return structures.solvate(
        molecule, structures.parameterize(molecule), padding=0.6, nonbonded_cutoff=0.7, seed=1
    )


@pytest.fixture(params=["ANI-1x", pytest.param("ANI-2x", marks=pytest.mark.data)])
def model_name(request, monkeypatch) -> str:
    """ANI-2x as written in the pages, and ANI-1x, whose weights are always at hand."""
    if request.param == "ANI-2x":
        monkeypatch.setenv("NNPMM_MODEL_DIR", str(model_directory()))
    return request.param


@pytest.fixture(scope="module")
def prepared(ligand_box, tmp_path_factory) -> Path:
    """A folder with model.json, model.safetensors and model.pt for the box."""
    from openmm import Vec3, app, unit

    from nnpmm.models.preparation import prepare_nnp

    folder = tmp_path_factory.mktemp("prepared")
    positions = [Vec3(*row) for row in np.asarray(ligand_box.positions)] * unit.nanometer
    with open(folder / "structure.pdb", "w", encoding="utf-8") as handle:
        app.PDBFile.writeFile(ligand_box.topology, positions, handle, keepIds=True)
    prepare_nnp(folder / "structure.pdb", "resname MOL", "ANI-1x", members=0, output=folder)
    return folder


@pytest.mark.parametrize("path", RUN, ids=name_of)
def test_python_blocks_run(path, ligand_box, model_name, prepared, monkeypatch):
    monkeypatch.chdir(prepared)
    code = blocks(path, "python")
    assert code
    namespace = {
        "topology": ligand_box.topology,
        "mm_system": copy.deepcopy(ligand_box.system),  # a page may add forces to it
        "positions": ligand_box.positions,
        "region_positions": np.asarray(ligand_box.positions)[ligand_box.ligand_atoms],
    }
    in_openmm_ml = f"nnpmm-{model_name.lower().replace('-', '')}"
    for block in code:
        block = block.replace("ANI-2x", model_name).replace("nnpmm-ani2x", in_openmm_ml)
        exec(compile(block, str(path), "exec"), namespace)
    if "forces" in namespace:
        assert namespace["forces"].shape[-1] == 3
        assert np.isfinite(np.asarray(namespace["forces"])).all()
    if "simulation" in namespace:
        assert namespace["simulation"].currentStep > 0


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_python_that_is_not_run_can_be_parsed(path):
    for block in blocks(path, "py"):
        compile(block, str(path), "exec")


def command_lines(path: Path) -> list[list[str]]:
    """The arguments of each nnpmm and prepare-nnp in the bash blocks of a page."""
    found = []
    for block in blocks(path, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line.partition(" > ")[0], comments=True)
            if words[:2] == ["mpirun", "-n"]:
                words = words[3:]
            if words[:1] == ["prepare-nnp"]:
                found.append(["prepare", *words[1:]])
            elif words[:1] == ["nnpmm"]:
                found.append(words[1:])
    return found


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_command_lines_have_options_that_exist(path):
    root = typer.main.get_command(app)
    for words in command_lines(path):
        command = root
        context = command.make_context("nnpmm", [], resilient_parsing=True)
        while hasattr(command, "commands"):
            command, words = command.commands[words[0]], words[1:]
            context = command.make_context(command.name, [], context, resilient_parsing=True)
        context.resilient_parsing = False  # so that the parser raises
        _, extra, _ = command.make_parser(context).parse_args(list(words))
        assert not extra, f"nnpmm {command.name}: {extra} in {name_of(path)}"


def test_unknown_option_of_a_command_line_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```bash\nmpirun -n 2 nnpmm run md.yaml --resum\n```\n")
    assert command_lines(page) == [["run", "md.yaml", "--resum"]]
    usage_error = typer.BadParameter.__mro__[1]  # typer has a UsageError but does not export it
    with pytest.raises(usage_error) as error:
        test_command_lines_have_options_that_exist(page)
    assert "--resum" in str(error.value)


def script_calls(text: str) -> list[tuple[Path, set[str]]]:
    """The script and the options of each ``benchmarks/<name>.py --option ...`` in a text."""
    calls = re.findall(r"benchmarks/(\w+\.py)([^`\n]*)", text.replace("\\\n", " "))
    return [
        (ROOT / "benchmarks" / name, set(re.findall(r"[ \[](--[\w-]+)", words)))
        for name, words in calls
    ]


def options_of(script: Path) -> set[str]:
    """The options of a script's parser, or that it compares with ``sys.argv``, from its source."""
    found = []
    for node in ast.walk(ast.parse(script.read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "parser.add_argument":
            found += node.args
        elif isinstance(node, ast.Compare):
            found += ast.walk(node)
    return {str(node.value) for node in found if isinstance(node, ast.Constant)}


@pytest.mark.parametrize("path", [*PAGES, *SCRIPTS], ids=name_of)
def test_calls_of_scripts_have_options_that_exist(path):
    for script, options in script_calls(path.read_text()):
        assert options <= options_of(script), f"{script.name} in {path.name}"


def test_unknown_option_of_a_script_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("`python benchmarks/ani.py --rounds 3 [--nam ani]` prints a table.\n")
    assert script_calls(page.read_text())[0][1] == {"--rounds", "--nam"}
    with pytest.raises(AssertionError):
        test_calls_of_scripts_have_options_that_exist(page)


@pytest.mark.parametrize(
    "block",
    [*blocks(DOCS / "run.md", "yaml"), *blocks(SETTINGS, "yaml")],
    ids=lambda text: " ".join(text.split()[:4]),
)
def test_settings_are_valid(block, tmp_path):
    simulation.parse_config(yaml.safe_load(block), base=tmp_path)


def test_each_input_type_has_an_example():
    types = {yaml.safe_load(block)["system"]["type"] for block in blocks(SETTINGS, "yaml")}
    assert types == {"amber", "gromacs", "charmm", "tinker", "amoeba", "openmm", "build"}


def test_template_is_the_one_printed():
    assert blocks(SETTINGS, "yaml")[-1] == simulation.template().rstrip("\n") + "\n"


@pytest.mark.parametrize("key", ModelFile.model_fields)
def test_every_key_of_model_json_is_described(key):
    assert f"| `{key}` |" in (DOCS / "files.md").read_text()


@pytest.mark.parametrize("name", PUBLISHED)
def test_digests_are_the_published_ones(name):
    page = DOCS / "reference" / "models.md"
    assert f"| `{name}` | `{PUBLISHED[name].digest}` |" in page.read_text()


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_links_lead_somewhere(path):
    text = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        page = path if not file else (path.parent / file).resolve()
        assert page.is_file(), f"{target} in {name_of(path)}"
        if anchor and page.suffix == ".md":
            assert anchor in anchors(page), f"{target} in {name_of(path)}"


def guides() -> list[Path]:
    """The how-to guides of the site, except those that one reads as a table."""
    navigation = (ROOT / "mkdocs.yml").read_text().partition("  - How-to guides:\n")[2]
    names = re.findall(r"([\w-]+\.md)$", navigation.partition("  - Explanation:\n")[0], flags=re.M)
    return [DOCS / name for name in names if name not in ("choosing.md", "troubleshooting.md")]


def test_guides_are_short():
    lengths = {path.name: len(path.read_text().split()) for path in guides()}
    assert len(lengths) > 30
    assert {name: length for name, length in lengths.items() if length > 600} == {}


def anchors(page: Path) -> set[str]:
    """The ids that mkdocs and code hosts give to a page's headings."""
    headings = re.findall(r"^#+ +(.+)$", page.read_text(), flags=re.M)
    return {re.sub(r"[^\w\s-]", "", h).strip().lower().replace(" ", "-") for h in headings}


def messages() -> list[str]:
    """Every text of the code, with one character in place of each name or number."""
    found = []
    for path in sorted((ROOT / "nnpmm").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [n.value if isinstance(n, ast.Constant) else "…" for n in node.values]
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(re.sub(r"%[-+.\d]*[a-z]", "…", node.value))
    return found


def quotes() -> list[str]:
    """The messages that the page on troubleshooting quotes."""
    page = (DOCS / "troubleshooting.md").read_text()
    return re.findall(r"^\| `([^`]+)` \|", page, flags=re.M)


def test_quoted_messages_are_those_of_the_code():
    texts = messages()
    assert len(quotes()) > 100
    for quote in quotes():
        fixed = [part for part in quote.split("…") if part.strip()]
        assert max(map(len, fixed)) > 12, f"{quote}: quote more of it"
        pattern = re.compile(".*".join(map(re.escape, fixed)), flags=re.S)
        assert any(pattern.search(text) for text in texts), quote
