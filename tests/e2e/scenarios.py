"""All scenarios, in the order in which they run."""

import cases_chart
import cases_scale
import cases_service
import cases_place
import cases_source
import cases_process
from world import DEFAULT, SCENARIOS

__all__ = ("SCENARIOS",)

del cases_chart, cases_scale, cases_service, cases_place, cases_source, cases_process
# Each configuration needs a cluster of its own.
SCENARIOS.sort(key=lambda s: s.configuration != DEFAULT)
