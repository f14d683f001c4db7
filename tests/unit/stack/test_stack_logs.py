import io

from rich.console import Console
from stack_helpers import wait_for

from tastemaker.stack import logs
from tastemaker.stack.logs import LogView, tail


def test_each_line_is_shown_once_with_its_writer(tmp_path):
    out = io.StringIO()
    view = LogView(tmp_path, ("kafka", "worker"), Console(file=out, width=200))
    view.start()
    view.say("begins")
    view.path("worker").write_bytes(b"one\ntwo\nunfini")
    wait_for(lambda: "two" in out.getvalue(), "two lines")
    with view.path("worker").open("ab") as file:
        file.write("shed [red]not markup[/] \xe9\n".encode())
    view.stop()
    lines = [line.split(" ", 1)[1] for line in out.getvalue().splitlines()]  # without the time
    assert sorted(lines[:-1]) == ["stack  │ begins", "worker │ one", "worker │ two"]
    assert lines[-1] == "worker │ unfinished [red]not markup[/] é"


def test_large_file_is_set_aside_and_the_writer_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "_ROTATE_BYTES", 100)
    view = LogView(tmp_path, ("a",), None)
    view.start()
    path = view.path("a")
    with path.open("ab", buffering=0) as writer:
        writer.write(b"x" * 150 + b"\n")
        wait_for(lambda: path.stat().st_size == 0, "the file to be emptied")
        writer.write(b"next\n")
    view.stop()
    assert path.read_bytes() == b"next\n"
    assert (tmp_path / "a.log.1").read_bytes() == b"x" * 150 + b"\n"


def test_tail_gives_the_last_lines(tmp_path):
    path = tmp_path / "a.log"
    assert tail(path, 2) == ""
    path.write_text("one\ntwo\nthree\n")
    assert tail(path, 2) == "two\nthree"
