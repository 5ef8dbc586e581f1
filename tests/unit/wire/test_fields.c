/* fields.h is made by a script of ours, the descriptors by protoc: they have to agree. */
#include <criterion/criterion.h>

#include "base/base.h"
#include "envoy/config/cluster/v3/cluster.pb-c.h"
#include "envoy/config/endpoint/v3/endpoint_components.pb-c.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb-c.h"
#include "envoy/service/discovery/v3/discovery.pb-c.h"
#include "wire/fields.h"

static unsigned number_of(const ProtobufCMessageDescriptor *message, const char *field)
{
    const ProtobufCFieldDescriptor *found =
        protobuf_c_message_descriptor_get_field_by_name(message, field);

    return found ? found->id : 0;
}

Test(wire_fields, numbers_are_those_of_the_descriptors)
{
    cr_expect_eq(
        number_of(&envoy__service__discovery__v3__discovery_request__descriptor, "error_detail"),
        DISCOVERY_REQUEST_ERROR_DETAIL);
    cr_expect_eq(number_of(&envoy__config__cluster__v3__cluster__descriptor, "type"), CLUSTER_TYPE);
    cr_expect_eq(number_of(&envoy__config__core__v3__node__descriptor, "user_agent_version"),
                 NODE_USER_AGENT_VERSION);
    cr_expect_eq(number_of(&envoy__config__endpoint__v3__locality_lb_endpoints__descriptor,
                           "load_balancing_weight"),
                 LOCALITY_LB_ENDPOINTS_LOAD_BALANCING_WEIGHT);
}

Test(wire_fields, nested_messages_and_enums_carry_the_name_of_what_holds_them)
{
    cr_expect_eq(number_of(&envoy__config__cluster__v3__cluster__eds_cluster_config__descriptor,
                           "service_name"),
                 CLUSTER_EDS_CLUSTER_CONFIG_SERVICE_NAME);
    cr_expect_eq(ENVOY__CONFIG__CLUSTER__V3__CLUSTER__DISCOVERY_TYPE__EDS,
                 CLUSTER_DISCOVERY_TYPE_EDS);
}

Test(wire_fields, urls_are_the_full_names)
{
    cr_expect_str_eq(
        strrchr(HTTP_CONNECTION_MANAGER_URL, '/') + 1,
        envoy__extensions__filters__network__http_connection_manager__v3__http_connection_manager__descriptor
            .name);
}
