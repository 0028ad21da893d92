"""Patching modules right after their import."""

import sys
import types

from specs_verl.plugin.late_patch import on_import


def test_a_loaded_module_is_patched_at_once(monkeypatch):
    module = types.ModuleType("specs_test_loaded")
    module.__spec__ = types.SimpleNamespace()
    monkeypatch.setitem(sys.modules, "specs_test_loaded", module)
    on_import("specs_test_loaded", lambda m: setattr(m, "answer", 42))
    assert module.answer == 42


def test_a_later_import_sees_the_patch_before_anybody_else(tmp_path, monkeypatch):
    (tmp_path / "specs_test_late.py").write_text("def value():\n    return 'original'\n")
    (tmp_path / "specs_test_user.py").write_text("from specs_test_late import value\n")
    monkeypatch.syspath_prepend(tmp_path)
    seen = []

    def patch(module):
        seen.append(module.value())
        module.value = lambda: "patched"

    on_import("specs_test_late", patch)
    assert "specs_test_late" not in sys.modules
    import specs_test_user

    assert specs_test_user.value() == "patched"
    assert seen == ["original"]


def test_two_patches_of_one_module_run_in_order(tmp_path, monkeypatch):
    (tmp_path / "specs_test_twice.py").write_text("log = []\n")
    monkeypatch.syspath_prepend(tmp_path)
    on_import("specs_test_twice", lambda m: m.log.append(1))
    on_import("specs_test_twice", lambda m: m.log.append(2))
    import specs_test_twice

    assert specs_test_twice.log == [1, 2]
