// SPDX-License-Identifier: BSD-2-Clause
#include "engine/sequence.h"

namespace vale {

void SequenceCheck::frame(uint32_t found, uint32_t fragments) {
  if (fragments != fragments_) {
    if (fragments_ != 0) {
      report("Fragments: " + std::to_string(fragments_) + " -> " + std::to_string(fragments));
    }
    fragments_ = fragments;
  }
  const int32_t ahead = static_cast<int32_t>(found - expected_);
  if (ahead == 0) {
    expected_++;
    return;
  }
  const char* what = ahead > 0 ? "GAP" : "OUT OF ORDER";
  report(std::string("Sequence ") + what + ": exp " + std::to_string(expected_) + " found " +
         std::to_string(found));
  if (ahead > 0) {
    gaps_++;
    missing_ += static_cast<uint32_t>(ahead);
  } else {
    disordered_++;
  }
  if (ahead > 0 || ahead < -kLate) expected_ = found + 1;
}

void SequenceCheck::report(const std::string& text) {
  const uint64_t now = monotonic_ns();
  if (now < quiet_until_) {
    unsaid_++;
    return;
  }
  quiet_until_ = now + kQuietNs;
  engine_.say(true, text + where_);
}

void SequenceCheck::summarise() {
  if (gaps_ == 0 && disordered_ == 0) return;
  std::string text = "Sequence: " + std::to_string(missing_) + " frames missing in " +
                     std::to_string(gaps_) + " gaps, " + std::to_string(disordered_) +
                     " out of order" + where_;
  if (unsaid_ != 0) text += " (" + std::to_string(unsaid_) + " lines not shown)";
  engine_.say(true, text);
}

}  // namespace vale
