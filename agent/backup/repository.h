// Moved to common/restic; goes once nothing includes it.
#pragma once

#include "common/restic/repository.h"
