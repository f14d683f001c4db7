"""Compiled loops that several processes keep in one place."""

import time
from concurrent.futures import ThreadPoolExecutor

from numba.core.caching import IndexDataCacheFile

from tastemaker.features.jit import _InTurn, compiled


def test_two_who_keep_code_at_once_give_it_files_of_its_own(tmp_path, monkeypatch):
    read = IndexDataCacheFile._load_index

    def slowly(self):
        found = read(self)
        time.sleep(0.2)  # the other one reads before this one writes, unless it has to wait
        return found

    monkeypatch.setattr(IndexDataCacheFile, "_load_index", slowly)
    with ThreadPoolExecutor(2) as pool:
        saved = [pool.submit(_InTurn(str(tmp_path), "loop", "sources").save, key, f"code of {key}") for key in "ab"]
        for done in saved:
            done.result()
    kept = _InTurn(str(tmp_path), "loop", "sources")
    assert [kept.load(key) for key in "ab"] == ["code of a", "code of b"]


def test_loops_are_kept_in_turn():
    loop = compiled(lambda value: value + 1)
    assert isinstance(loop._cache._cache_file, _InTurn)
    assert loop(1) == 2
