// The kinds of actions: what each does is in its own file.
#pragma once

#include <memory>

#include "agent/tenants/action_script.h"
#include "agent/tenants/tenant_tools.h"
#include "mtp/v1/agent.pb.h"

namespace mtp {

// `request` holds no secrets; an action finds its own in the journal by its key.
std::unique_ptr<ActionScript> NewApplyScript(TenantTools* tools,
                                             const v1::EnsureActionRequest& request);
std::unique_ptr<ActionScript> NewStartScript(TenantTools* tools,
                                             const v1::EnsureActionRequest& request);
std::unique_ptr<ActionScript> NewStopScript(TenantTools* tools,
                                            const v1::EnsureActionRequest& request);
std::unique_ptr<ActionScript> NewRestartScript(TenantTools* tools,
                                               const v1::EnsureActionRequest& request);
std::unique_ptr<ActionScript> NewBackupScript(TenantTools* tools,
                                              const v1::EnsureActionRequest& request);
std::unique_ptr<ActionScript> NewSnapshotScript(TenantTools* tools,
                                                const v1::EnsureActionRequest& request);
std::unique_ptr<ActionScript> NewVerifyScript(TenantTools* tools,
                                              const v1::EnsureActionRequest& request);
std::unique_ptr<ActionScript> NewRestoreScript(TenantTools* tools,
                                               const v1::EnsureActionRequest& request);
std::unique_ptr<ActionScript> NewDrillScript(TenantTools* tools,
                                             const v1::EnsureActionRequest& request);
std::unique_ptr<ActionScript> NewForgetScript(TenantTools* tools,
                                              const v1::EnsureActionRequest& request);
std::unique_ptr<ActionScript> NewPullScript(TenantTools* tools,
                                            const v1::EnsureActionRequest& request);
std::unique_ptr<ActionScript> NewSoakScript(TenantTools* tools,
                                            const v1::EnsureActionRequest& request);
std::unique_ptr<ActionScript> NewLimitScript(TenantTools* tools,
                                             const v1::EnsureActionRequest& request);
std::unique_ptr<ActionScript> NewParkScript(TenantTools* tools,
                                            const v1::EnsureActionRequest& request);
std::unique_ptr<ActionScript> NewCheckScript(TenantTools* tools,
                                             const v1::EnsureActionRequest& request);
std::unique_ptr<ActionScript> NewSetFailoverScript(TenantTools* tools,
                                                   const v1::EnsureActionRequest& request);
std::unique_ptr<ActionScript> NewReconfigureScript(TenantTools* tools,
                                                   const v1::EnsureActionRequest& request);
std::unique_ptr<ActionScript> NewRemoveScript(TenantTools* tools,
                                              const v1::EnsureActionRequest& request);

// The one for the request's kind; null when the kind is not set.
std::unique_ptr<ActionScript> NewScript(TenantTools* tools, const v1::EnsureActionRequest& request);

// INVALID_ARGUMENT for a request that no script could carry out.
absl::Status CheckActionRequest(const v1::EnsureActionRequest& request);

}  // namespace mtp
