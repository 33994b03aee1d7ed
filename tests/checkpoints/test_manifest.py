"""An artifact is whole or refused, and the refusal says what differs and how to rebuild it."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from checkpoints import writer as writer_module
from checkpoints.build import ensure_quantized, ensure_shards, import_llm, whats_wrong
from checkpoints.progress import Reporter
from checkpoints.recipes import RECIPES, SHARD, Recipe
from checkpoints.writer import write_artifact
from commentary_llm.artifacts.llama import LlamaShape
from commentary_llm.artifacts.manifest import Source, load_manifest, quantized_dir, read_manifest
from commentary_llm.ground.errors import ArtifactError, OutputError
from commentary_llm.ground.home import models_dir, shards_dir
from commentary_llm.ground.mend import SETUP_COMMAND

SHAPE = LlamaShape(1, 8, 2, 1, 4, 8, 16, True)
RECIPE = Recipe("voice", 1)
SOURCE = Source(name="voice==1", sha256="0" * 64, licence="MIT")


def make_artifact(target: Path, text: str = "weights", command: str = "rebuild me") -> Path:
    with write_artifact(
        target,
        kind="piper-onnx",
        name="voice",
        command=command,
        recipe=RECIPE,
        sources=(SOURCE,),
        tools={},
        dtype="float32",
    ) as artifact:
        (artifact.directory / "a.bin").write_text(text)
        artifact.extra["opset"] = 17
    return target


def edit(target: Path, old: str, new: str) -> None:
    path = target / "manifest.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_round_trip(tmp_path: Path) -> None:
    loaded = load_manifest(make_artifact(tmp_path / "voice"), verify="sha256", kind="piper-onnx")
    assert loaded.files["a.bin"].bytes == len("weights")
    assert loaded.extra == {"opset": 17}
    assert loaded.sources == (SOURCE,)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".voice.lock", "voice"]


def test_missing_artifact_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="voice does not exist; build it with `python -m checkpoints setup`"):
        load_manifest(tmp_path / "voice")
    (tmp_path / "voice").mkdir()
    with pytest.raises(ArtifactError, match=r"has no manifest\.json"):
        load_manifest(tmp_path / "voice")


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda d: (d / "a.bin").unlink(), r"a\.bin is missing"),
        (lambda d: (d / "a.bin").write_text("more weights"), r"a\.bin has 12 bytes, expected 7"),
        (lambda d: edit(d, '"format_version": 1', '"format_version": 9'), "format version 9, this program reads 1"),
        (lambda d: edit(d, "piper-onnx", "whisper-onnx"), "kind whisper-onnx, expected piper-onnx"),
    ],
)
def test_difference_is_named(tmp_path: Path, damage, text: str) -> None:
    target = make_artifact(tmp_path / "voice")
    damage(target)
    with pytest.raises(ArtifactError, match=rf"{text}.*Rebuild with `rebuild me`"):
        load_manifest(target, kind="piper-onnx")


def test_flipped_byte_is_found_by_the_full_check_only(tmp_path: Path) -> None:
    target = make_artifact(tmp_path / "voice")
    (target / "a.bin").write_text("weighty")
    load_manifest(target)
    with pytest.raises(ArtifactError, match=r"a\.bin is corrupted \(SHA-256 [0-9a-f]{64}, expected [0-9a-f]{64}\)"):
        load_manifest(target, verify="sha256")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            "{",
            "",
        ),
        ('"kind"', '"sort"'),
        ('"kind": "piper-onnx"', '"kind": 7'),
    ],
)
def test_damaged_manifest_is_refused(tmp_path: Path, old: str, new: str) -> None:
    target = make_artifact(tmp_path / "voice")
    edit(target, old, new)
    with pytest.raises(ArtifactError, match=r"manifest\.json is damaged or of another version.*rebuild with"):
        load_manifest(target)


def test_another_kind_is_refused(tmp_path: Path) -> None:
    """Kinds are open: which there are, the registries of those that read them know."""
    target = make_artifact(tmp_path / "voice")
    edit(target, '"piper-onnx"', '"cake"')
    with pytest.raises(ArtifactError, match="kind cake, expected piper-onnx"):
        load_manifest(target, kind="piper-onnx")


def test_wrong_rank_count_is_refused(own_home: Path, make_model) -> None:
    import_llm(make_model(SHAPE), "tiny", Reporter())
    shards = ensure_shards("tiny", 2, Reporter())
    with pytest.raises(ArtifactError, match=r"built for 2 ranks, 3 are running.*checkpoints shard --model tiny"):
        load_manifest(shards, ranks=3)


def test_stale_shards_are_found_and_rebuilt(own_home: Path, make_model) -> None:
    import_llm(make_model(SHAPE), "tiny", Reporter())
    shards = ensure_shards("tiny", 2, Reporter())
    import_llm(make_model(SHAPE, rms_norm_eps=1e-6), "tiny", Reporter())
    with pytest.raises(ArtifactError, match=r"stale: made from llama-hf .*models/tiny now holds .*--ranks 2"):
        load_manifest(shards)
    ensure_quantized("tiny", Reporter())
    with pytest.raises(ArtifactError, match="stale: made from llama-int8"):
        load_manifest(shards)
    load_manifest(ensure_shards("tiny", 2, Reporter()))


def test_shards_alone_can_be_loaded(own_home: Path, make_model) -> None:
    import_llm(make_model(SHAPE), "tiny", Reporter())
    ensure_shards("tiny", 2, Reporter())
    (models_dir() / "tiny").rename(own_home / "elsewhere")
    quantized_dir("tiny").rename(own_home / "elsewhere-int8")
    load_manifest(shards_dir("tiny", 2), ranks=2)


def test_reasons_to_build_again(tmp_path: Path) -> None:
    target = make_artifact(tmp_path / "voice")
    assert whats_wrong(target, "piper-onnx", RECIPE, (SOURCE,)) is None
    newer = Recipe("voice", 2)
    assert "another version of this program" in (whats_wrong(target, "piper-onnx", newer, (SOURCE,)) or "")
    other = SOURCE.model_copy(update={"name": "voice==2"})
    assert "not from voice==2" in (whats_wrong(target, "piper-onnx", RECIPE, (other,)) or "")


def test_what_the_hashes_of_old_built_is_not_built_again(own_home: Path, make_model) -> None:
    import_llm(make_model(SHAPE), "tiny", Reporter())
    shards = ensure_shards("tiny", 2, Reporter())
    (old,) = SHARD.same_as
    edit(shards, f'"{SHARD}"', f'"{old}"')
    assert whats_wrong(shards, "llama-int8-shards", SHARD, ranks=2) is None
    edit(shards, f'"{old}"', '"0123456789abcdef"')
    assert "another version of this program" in (whats_wrong(shards, "llama-int8-shards", SHARD, ranks=2) or "")


def test_no_recipe_stands_for_another() -> None:
    recorded = [name for recipe in RECIPES for name in (str(recipe), *recipe.same_as)]
    assert len(set(recorded)) == len(recorded)
    assert all(recipe.made(str(recipe)) for recipe in RECIPES)
    assert not Recipe("shard", 2).made("shard-1")


def test_failed_build_leaves_the_old_artifact(tmp_path: Path) -> None:
    target = make_artifact(tmp_path / "voice")

    def fail() -> None:
        with write_artifact(
            target, kind="piper-onnx", name="v", command="c", recipe=RECIPE, sources=(), tools={}, dtype="x"
        ) as artifact:
            (artifact.directory / "a.bin").write_text("half")
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        fail()
    assert (target / "a.bin").read_text() == "weights"
    assert not list(tmp_path.glob(".voice.tmp-*"))


def test_killed_build_is_never_used_and_cleaned_away(tmp_path: Path) -> None:
    target = tmp_path / "voice"
    program = (
        "import os, sys, signal\n"
        "from pathlib import Path\n"
        "from checkpoints.writer import write_artifact\n"
        "from checkpoints.recipes import Recipe\n"
        "with write_artifact(Path(sys.argv[1]), kind='piper-onnx', name='v', command='c',\n"
        "                    recipe=Recipe('r', 1), sources=(), tools={}, dtype='x') as artifact:\n"
        "    (artifact.directory / 'a.bin').write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(target)], timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert not target.exists()
    assert list(tmp_path.glob(".voice.tmp-*"))
    with pytest.raises(ArtifactError, match="does not exist"):
        load_manifest(target)
    make_artifact(target)
    assert not list(tmp_path.glob(".voice.tmp-*"))
    load_manifest(target, verify="sha256")


def test_full_disk_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(writer_module, "_sync", full)
    with pytest.raises(OutputError, match=r"the disk is full while writing .*voice.*COMMENTARY_HOME"):
        make_artifact(tmp_path / "voice")
    assert [path.name for path in tmp_path.iterdir()] == [".voice.lock"]


def test_command_defaults_to_setup(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=SETUP_COMMAND):
        read_manifest(tmp_path / "nothing")
