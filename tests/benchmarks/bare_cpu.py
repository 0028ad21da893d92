"""What verl needs to run on a CPU at all, and nothing else: the yardstick of plugin_overhead.py.

VERL_USE_EXTERNAL_PLUGINS=none VERL_USE_EXTERNAL_MODULES=bare_cpu PYTHONPATH=tests/benchmarks python -m verl...
"""

from specs_verl import cpu
from specs_verl.plugin import fixes as verl_fixes
from specs_verl.plugin.late_patch import on_import

cpu.install(on_import)
verl_fixes.install()
