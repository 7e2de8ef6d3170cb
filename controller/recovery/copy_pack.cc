#include "controller/recovery/copy_pack.h"

#include <absl/strings/str_cat.h>
#include <zstd.h>

#include <memory>

#include "common/base/status.h"

namespace mtp {
namespace {

// Records of tenants repeat each other: a window of 8 MiB sees that.
constexpr int kLevel = 12;
constexpr int kWindowLog = 23;
constexpr size_t kUnpackedBytesMax = 512 << 20;

struct ContextCloser {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};

}  // namespace

absl::StatusOr<SecretString> PackCopy(const state::v1::StateCopy& copy) {
  const SecretString plain(copy.SerializeAsString());
  if (plain.size() > kUnpackedBytesMax) {
    return absl::ResourceExhaustedError("the state is larger than 512 MiB");
  }
  const std::unique_ptr<ZSTD_CCtx, ContextCloser> context(ZSTD_createCCtx());
  if (context == nullptr) return absl::ResourceExhaustedError("no memory to compress the state");
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, kLevel);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_windowLog, kWindowLog);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 1);
  std::string packed(ZSTD_compressBound(plain.size()), '\0');
  const size_t size = ZSTD_compress2(context.get(), packed.data(), packed.size(),
                                     plain.Reveal().data(), plain.size());
  if (ZSTD_isError(size) != 0) {
    return absl::InternalError(absl::StrCat("compress the state: ", ZSTD_getErrorName(size)));
  }
  packed.resize(size);
  return SecretString(std::move(packed));
}

absl::StatusOr<state::v1::StateCopy> UnpackCopy(absl::string_view packed) {
  const unsigned long long size = ZSTD_getFrameContentSize(packed.data(), packed.size());
  if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN ||
      size > kUnpackedBytesMax) {
    return absl::DataLossError("the copy of the state is damaged");
  }
  std::string bytes(size, '\0');
  const size_t written = ZSTD_decompress(bytes.data(), bytes.size(), packed.data(), packed.size());
  const SecretString plain(std::move(bytes));
  state::v1::StateCopy copy;
  if (ZSTD_isError(written) != 0 || written != plain.size() ||
      !copy.ParseFromArray(plain.Reveal().data(), static_cast<int>(plain.size()))) {
    return absl::DataLossError("the copy of the state is damaged");
  }
  if (copy.format() == kCopyFormat) return copy;
  WipeCopy(&copy);
  return absl::FailedPreconditionError(absl::StrCat(
      "the copy has layout ", copy.format(), ", this version reads layout ", kCopyFormat,
      "; it was made by mtp-controller ", copy.controller_version(), ": install that"));
}

void WipeCopy(state::v1::StateCopy* copy) {
  for (std::string& secrets : *copy->mutable_secrets()) WipeString(&secrets);
  for (auto& file : *copy->mutable_files()) WipeString(file.mutable_content());
}

}  // namespace mtp
