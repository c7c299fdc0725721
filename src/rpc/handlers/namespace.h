/* namespace.h - what the calls about namespaces share. */
#ifndef PERDURE_RPC_HANDLERS_NAMESPACE_H
#define PERDURE_RPC_HANDLERS_NAMESPACE_H

#include "rpc/handlers/api.h"

/* INVALID_ARGUMENT unless it is this cluster's name. */
MUST_USE err *api_check_cluster(ask *k, span name);
/* INVALID_ARGUMENT unless it is at least the least retention. */
MUST_USE err *api_check_retention(ask *k, pb_Duration *retention);
/* What UpdateNamespace answers of this record; in the arena of the call. */
pb_UpdateNamespaceResponse *api_updated_namespace(ask *k, const pb_store_Namespace *record);

#endif
