"""The chart without a cluster: what Helm makes of it for many values, and which values it refuses.

    tests/chart/run.py [NAME...]     NAME: a part of a case's name

On a real API server it is installed by tests/e2e.
"""
import sys
from pathlib import Path

sys.dont_write_bytecode = True
TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent)]

from chart import cases  # noqa: E402
from chart.chart import Helm, find_helm  # noqa: E402
from support.report import SKIP_EXIT, Report, Skip  # noqa: E402


def main():
    report, names = Report("chart"), sys.argv[1:]
    try:
        helm = Helm(find_helm())
    except Skip as reason:
        report.skip("chart", str(reason))
        report.finish()
        return 1 if report.failed else SKIP_EXIT
    try:
        for case in cases.CASES:
            if not names or any(part in case.__name__ for part in names):
                with report.case(case.__name__):
                    case(helm)
    finally:
        helm.close()
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
