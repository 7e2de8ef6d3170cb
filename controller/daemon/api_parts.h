// What the controller serves: the services, who lets callers in, and the two listeners.
#pragma once

#include <absl/status/status.h>

#include <string>

#include "controller/api/audit_log.h"
#include "controller/api/authorizer.h"
#include "controller/api/backup_service.h"
#include "controller/api/enrollment_service.h"
#include "controller/api/fleet_service.h"
#include "controller/api/gate.h"
#include "controller/api/host_service.h"
#include "controller/api/operation_service.h"
#include "controller/api/rollout_service.h"
#include "controller/api/tenant_service.h"
#include "controller/daemon/failover_parts.h"
#include "controller/daemon/foundation.h"
#include "controller/daemon/listener.h"
#include "controller/daemon/trust_parts.h"
#include "controller/daemon/work_parts.h"
#include "controller/pki/join_tokens.h"
#include "controller/pki/operators.h"

namespace mtp {

struct ApiParts {
  // All outlive it.
  ApiParts(Foundation* on, WorkParts* work, FailoverParts* failover, TrustParts* trust);

  // FAILED_PRECONDITION when an address is taken.
  absl::Status Listen();
  // Ends both listeners. Twice changes nothing.
  void Stop();

  Foundation& base;
  JoinTokens tokens;
  Operators operators;
  AuditLog audit;
  Authorizer authorizer;
  Gate gate;
  Gate gateway_gate;  // for calls that wait for a tenant
  TenantServiceImpl tenant_service;
  HostServiceImpl host_service;
  BackupServiceImpl backup_service;
  RolloutServiceImpl rollout_service;
  OperationServiceImpl operation_service;
  FleetServiceImpl fleet_service;
  EnrollmentServiceImpl enrollment_service;
  Listener api;
  Listener enroll;
};

}  // namespace mtp
