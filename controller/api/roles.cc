#include "controller/api/roles.h"

namespace mtp {

namespace {

constexpr MethodRule kRules[] = {
    {"mtp.v1.TenantService/GetTenant", v1::ROLE_VIEWER, false},
    {"mtp.v1.TenantService/ListTenants", v1::ROLE_VIEWER, false},
    {"mtp.v1.TenantService/ProvisionTenant", v1::ROLE_OPERATOR, true},
    {"mtp.v1.TenantService/RemoveTenant", v1::ROLE_OPERATOR, true},
    {"mtp.v1.TenantService/UpdateTenant", v1::ROLE_OPERATOR, true},
    {"mtp.v1.TenantService/StartTenant", v1::ROLE_OPERATOR, true},
    {"mtp.v1.TenantService/StopTenant", v1::ROLE_OPERATOR, true},
    {"mtp.v1.TenantService/RestartTenant", v1::ROLE_OPERATOR, true},
    {"mtp.v1.TenantService/FailOverTenant", v1::ROLE_OPERATOR, true},
    // Logs hold what a client wrote, and commands and gateway calls can change a tenant: not for
    // viewers.
    {"mtp.v1.TenantService/StreamTenantLogs", v1::ROLE_OPERATOR, false},
    {"mtp.v1.TenantService/ExecTenant", v1::ROLE_OPERATOR, true},
    {"mtp.v1.TenantService/CallTenantGateway", v1::ROLE_OPERATOR, true},

    {"mtp.v1.HostService/GetHost", v1::ROLE_VIEWER, false},
    {"mtp.v1.HostService/ListHosts", v1::ROLE_VIEWER, false},
    {"mtp.v1.HostService/CordonHost", v1::ROLE_OPERATOR, true},
    {"mtp.v1.HostService/UncordonHost", v1::ROLE_OPERATOR, true},
    {"mtp.v1.HostService/SetHostLabels", v1::ROLE_OPERATOR, true},
    {"mtp.v1.HostService/RemoveHost", v1::ROLE_ADMIN, true},
    {"mtp.v1.HostService/CreateJoinToken", v1::ROLE_ADMIN, true},

    {"mtp.v1.BackupService/GetBackup", v1::ROLE_VIEWER, false},
    {"mtp.v1.BackupService/ListBackups", v1::ROLE_VIEWER, false},
    {"mtp.v1.BackupService/CreateBackup", v1::ROLE_OPERATOR, true},
    {"mtp.v1.BackupService/VerifyBackup", v1::ROLE_OPERATOR, true},
    {"mtp.v1.BackupService/RestoreBackup", v1::ROLE_OPERATOR, true},
    {"mtp.v1.BackupService/PruneBackups", v1::ROLE_OPERATOR, true},
    {"mtp.v1.BackupService/DrillBackup", v1::ROLE_OPERATOR, true},
    // Holds all that a client wrote, and leaves the fleet: who had it is to be known.
    {"mtp.v1.BackupService/ExportBackup", v1::ROLE_OPERATOR, true},
    {"mtp.v1.BackupService/GetBackupPolicy", v1::ROLE_VIEWER, false},
    {"mtp.v1.BackupService/SetBackupPolicy", v1::ROLE_OPERATOR, true},
    {"mtp.v1.BackupService/ListRepositories", v1::ROLE_VIEWER, false},
    {"mtp.v1.BackupService/CheckRepository", v1::ROLE_OPERATOR, true},
    // Changes nothing, but who had the secrets is to be known.
    {"mtp.v1.BackupService/GetRecoveryKit", v1::ROLE_ADMIN, true},
    {"mtp.v1.BackupService/AddRepository", v1::ROLE_ADMIN, true},

    {"mtp.v1.RolloutService/GetRollout", v1::ROLE_VIEWER, false},
    {"mtp.v1.RolloutService/ListRollouts", v1::ROLE_VIEWER, false},
    {"mtp.v1.RolloutService/WatchRollout", v1::ROLE_VIEWER, false},
    {"mtp.v1.RolloutService/CreateRollout", v1::ROLE_OPERATOR, true},
    {"mtp.v1.RolloutService/PauseRollout", v1::ROLE_OPERATOR, true},
    {"mtp.v1.RolloutService/ResumeRollout", v1::ROLE_OPERATOR, true},
    {"mtp.v1.RolloutService/AbortRollout", v1::ROLE_OPERATOR, true},

    {"mtp.v1.OperationService/GetOperation", v1::ROLE_VIEWER, false},
    {"mtp.v1.OperationService/ListOperations", v1::ROLE_VIEWER, false},
    {"mtp.v1.OperationService/CancelOperation", v1::ROLE_OPERATOR, true},
    {"mtp.v1.OperationService/WatchOperation", v1::ROLE_VIEWER, false},

    {"mtp.v1.FleetService/GetFleetStatus", v1::ROLE_VIEWER, false},
    {"mtp.v1.FleetService/WatchFleetStatus", v1::ROLE_VIEWER, false},
    {"mtp.v1.FleetService/GetCapacity", v1::ROLE_VIEWER, false},
    {"mtp.v1.FleetService/ListAuditEntries", v1::ROLE_ADMIN, false},
    {"mtp.v1.FleetService/ListOperators", v1::ROLE_ADMIN, false},
    {"mtp.v1.FleetService/AddOperator", v1::ROLE_ADMIN, true},
    {"mtp.v1.FleetService/RemoveOperator", v1::ROLE_ADMIN, true},
    {"mtp.v1.FleetService/GetAuthority", v1::ROLE_ADMIN, false},
    {"mtp.v1.FleetService/RotateAuthority", v1::ROLE_ADMIN, true},
    // Each operator its own.
    {"mtp.v1.FleetService/RenewCertificate", v1::ROLE_VIEWER, true},
};

}  // namespace

absl::Span<const MethodRule> AllRules() { return kRules; }

std::optional<MethodRule> FindRule(absl::string_view method) {
  for (const MethodRule& rule : AllRules()) {
    if (rule.method == method) return rule;
  }
  return std::nullopt;
}

}  // namespace mtp
