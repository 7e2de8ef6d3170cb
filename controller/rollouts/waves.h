// What a rollout does when, as pure functions.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "mtp/v1/operation.pb.h"
#include "mtp/v1/rollout.pb.h"

namespace mtp {

// A tenant that is to be updated.
struct Candidate {
  std::string tenant;
  std::string host;
  // It carries the label `canary=true`.
  bool canary = false;
};

// Tenants that may be updated at the same time, at least 1: `max_unavailable` of the settings (0
// means 1), and one less than those that are meant to run in the fleet, so that somebody is always
// available.
int MostAtOnce(const v1::RolloutSettings& settings, int meant_to_run);

// The canary first, then waves of as many as may be updated at once. Names of tenants; no wave is
// empty.
//
// The canary is made of tenants labelled `canary=true`, else of the first ones by name: whom a bad
// image hits first is then known to the operator beforehand, and is the same in the preview and in
// the next rollout. The others are taken from one host after another, so that a wave's downloads
// and backups are spread.
std::vector<std::vector<std::string>> PlanWaves(std::vector<Candidate> candidates,
                                                const v1::RolloutSettings& settings,
                                                int meant_to_run);

// Gives every PENDING tenant of the rollout its wave, and sorts the tenants by wave and name. Those
// that are left alone stand in the last wave. `canaries`: tenants labelled `canary=true`.
void Arrange(const std::set<std::string>& canaries, int meant_to_run, v1::Rollout& rollout);

// What is known of the world around a rollout.
struct Surroundings {
  // By tenant: the operation that updates it, as far as there is one.
  std::map<std::string, v1::Operation> children;
  // By tenant: what holds it up although nothing of the rollout has begun, in words.
  std::map<std::string, std::string> busy;
  // By tenant: why it is to be left alone.
  std::map<std::string, std::string> skips;
  // By tenant: why its update could not be begun, and what became of it.
  std::map<std::string, std::string> refused;
  // Tenants of the fleet that are meant to run.
  int meant_to_run = 0;
};

// What comes next.
struct Move {
  enum class Kind {
    // Until a child ends, or somebody pauses, resumes or aborts it.
    kWait,
    // All have ended and one of them failed: nothing more is begun.
    kFail,
    // All have ended well.
    kDone,
  };
  Kind kind = Kind::kWait;
  // The rollout as it stands now; has to be stored before anything is begun.
  v1::Rollout rollout;
  // Tenants whose update is to be begun now; UPDATING in `rollout`.
  std::vector<std::string> begin;
};

// Nothing is begun after a failure, while it is not RUNNING, before all of the earlier waves are
// UPDATED or SKIPPED, or beyond MostAtOnce; a tenant that has a child is never begun again.
Move NextMove(const v1::Rollout& rollout, const Surroundings& around);

// The tenants after their children, as far as they have not ended: one whose child goes on is
// UPDATING, one without a child PENDING, whatever was meant to be begun.
void Follow(const Surroundings& around, v1::Rollout& rollout);

// One sentence about the tenants that failed, with their reasons; empty when none did.
std::string DescribeFailures(const v1::Rollout& rollout);

// `3 of 10 tenants updated, 2 left alone, 1 being updated`.
std::string DescribeProgress(const v1::Rollout& rollout);

bool HasEnded(const v1::Operation& operation);
bool HasEnded(const v1::Rollout& rollout);

}  // namespace mtp
