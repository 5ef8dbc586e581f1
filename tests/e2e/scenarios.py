"""All scenarios, in the order in which they run."""

import cases_chart
import cases_chart_scale
import cases_grpclb
import cases_scale
import cases_service
import cases_place
import cases_source
import cases_process
import cases_resource
import cases_resource_life
import cases_policy
import cases_identity
from world import DEBIAN_ETCD, DEFAULT, RESOURCES, SCENARIOS

__all__ = ("SCENARIOS",)

del cases_chart, cases_chart_scale, cases_grpclb, cases_scale, cases_service, cases_place
del cases_source, cases_process, cases_resource, cases_resource_life, cases_policy, cases_identity
# Each configuration needs a cluster of its own.
SCENARIOS.sort(key=lambda s: (DEFAULT, RESOURCES, DEBIAN_ETCD).index(s.configuration))
