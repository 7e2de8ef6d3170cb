// libarchive takes names for text of the thread's locale. In C.UTF-8 names that are UTF-8 are
// stored as such, and all others as the bytes they are.
#pragma once

#include <locale.h>

namespace mtp {

// Sets the calling thread's locale while it lives.
class Utf8Names {
 public:
  Utf8Names() : locale_(newlocale(LC_CTYPE_MASK, "C.UTF-8", static_cast<locale_t>(nullptr))) {
    if (locale_ != nullptr) previous_ = uselocale(locale_);
  }
  ~Utf8Names() {
    if (locale_ == nullptr) return;
    uselocale(previous_);
    freelocale(locale_);
  }
  Utf8Names(const Utf8Names&) = delete;
  Utf8Names& operator=(const Utf8Names&) = delete;

 private:
  const locale_t locale_;
  locale_t previous_ = nullptr;
};

}  // namespace mtp
