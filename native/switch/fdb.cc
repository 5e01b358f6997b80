// SPDX-License-Identifier: BSD-2-Clause
#include "switch/fdb.h"

namespace vale {

Fdb::Pair Fdb::sets_of(Mac48 mac) const { return {{home(mac), second(mac)}}; }

FdbRef Fdb::find(const SwitchRec& sw, Mac48 mac, uint32_t now) const {
  const uint64_t word = fdb_word(mac, false, 0, 0);
  for (FdbSet* set : sets_of(mac).set) {
    for (uint32_t left = fdb_candidates(*set, word); left != 0; left &= left - 1) {
      const int i = std::countr_zero(left);
      const uint64_t w = set->entry[i].load(std::memory_order_relaxed);
      if ((w ^ word) < kFdbUnit &&
          valid(sw, w, set->seen[i].load(std::memory_order_relaxed), now)) {
        return {&set->entry[i], &set->seen[i], w};
      }
    }
  }
  return {};
}

FdbRef Fdb::learn(const SwitchRec& sw, Mac48 mac, uint32_t port, uint32_t gen, uint32_t now) {
  const uint64_t word = fdb_word(mac, false, port, gen);
  const FdbRef known = find(sw, mac, now);
  if (known.word != word) return put(sw, word, now, false);
  if (known.seen->load(std::memory_order_relaxed) != now)
    known.seen->store(now, std::memory_order_relaxed);
  return known;
}

void Fdb::add_static(const SwitchRec& sw, Mac48 mac, uint32_t port, uint32_t gen, uint32_t now) {
  put(sw, fdb_word(mac, true, port, gen), now, true);
}

// Of two full sets, moves one entry to its other set. The entry that it leaves, still with the word of the
// one that moved, or nothing when all of them would meet a full set again.
FdbRef Fdb::make_room(const SwitchRec& sw, const Pair& pair, uint32_t now) {
  for (FdbSet* set : pair.set) {
    for (uint32_t i = 0; i < kFdbWays; i++) {
      const uint64_t word = set->entry[i].load(std::memory_order_relaxed);
      if (word == 0 || fdb_static(word)) continue;
      const Pair own = sets_of(fdb_mac(word));
      FdbSet* const other = own.set[own.set[0] == set];
      if (other == pair.set[0] || other == pair.set[1]) continue;
      for (uint32_t k = 0; k < kFdbWays; k++) {
        uint64_t old = other->entry[k].load(std::memory_order_relaxed);
        if (valid(sw, old, other->seen[k].load(std::memory_order_relaxed), now)) continue;
        other->seen[k].store(set->seen[i].load(std::memory_order_relaxed),
                             std::memory_order_relaxed);
        if (other->entry[k].compare_exchange_strong(old, word, std::memory_order_acq_rel))
          return {&set->entry[i], &set->seen[i], word};
      }
    }
  }
  return {};
}

FdbRef Fdb::put(const SwitchRec& sw, uint64_t word, uint32_t now, bool replace_static) {
  const uint64_t key = word >> 17;
  const Pair pair = sets_of(fdb_mac(word));
  for (int attempt = 0; attempt < 8; attempt++) {
    // The address itself if it is here, else the best place: free or no longer valid, else the one
    // not seen for longest in the first set.
    FdbRef place, oldest;
    uint32_t age = 0;
    bool same = false;
    for (FdbSet* set : pair.set) {
      for (uint32_t i = 0; i < kFdbWays && !same; i++) {
        const uint64_t w = set->entry[i].load(std::memory_order_relaxed);
        const uint32_t seen = set->seen[i].load(std::memory_order_relaxed);
        const FdbRef here{&set->entry[i], &set->seen[i], w};
        if (w != 0 && w >> 17 == key) {
          place = here;
          same = true;
        } else if (place.entry == nullptr && !valid(sw, w, seen, now)) {
          place = here;
        } else if (set == pair.set[0] && !fdb_static(w) &&
                   (oldest.entry == nullptr || now - seen > age)) {
          oldest = here;
          age = now - seen;
        }
      }
    }
    if (place.entry == nullptr) place = make_room(sw, pair, now);
    if (place.entry == nullptr) place = oldest;
    if (place.entry == nullptr) return {};
    if (same && fdb_static(place.word) && !replace_static && valid(sw, place.word, 0, now)) {
      return place;
    }
    if (place.word != word) {
      uint64_t expected = place.word;
      if (!place.entry->compare_exchange_strong(expected, word, std::memory_order_acq_rel))
        continue;  // what moved meanwhile, if any, is in two places: its next frame clears one
      place.word = word;
    }
    if (place.seen->load(std::memory_order_relaxed) != now)
      place.seen->store(now, std::memory_order_relaxed);
    if (same) return place;
    // Two senders may have inserted the same address in two places: the first place stays.
    FdbRef first;
    for (FdbSet* set : pair.set) {
      for (uint32_t i = 0; i < kFdbWays; i++) {
        uint64_t w = set->entry[i].load(std::memory_order_acquire);
        if (w == 0 || w >> 17 != key) continue;
        if (first.entry == nullptr) {
          first = {&set->entry[i], &set->seen[i], w};
        } else {
          set->entry[i].compare_exchange_strong(w, 0, std::memory_order_acq_rel);
        }
      }
    }
    if (first.entry == place.entry) return place;
  }
  return {};
}

bool Fdb::remove(Mac48 mac) {
  bool any = false;
  for (FdbSet* set : sets_of(mac).set) {
    for (auto& e : set->entry) {
      uint64_t w = e.load(std::memory_order_relaxed);
      if (w != 0 && w >> 17 == mac >> 1 && e.compare_exchange_strong(w, 0)) any = true;
    }
  }
  return any;
}

uint32_t Fdb::flush_dynamic() {
  uint32_t n = 0;
  for (uint32_t s = 0; s < kFdbSets; s++) {
    for (auto& e : sets_[s].entry) {
      uint64_t w = e.load(std::memory_order_relaxed);
      if (w != 0 && !fdb_static(w) && e.compare_exchange_strong(w, 0)) n++;
    }
  }
  return n;
}

void Fdb::flush_port(uint32_t port) {
  for (uint32_t s = 0; s < kFdbSets; s++) {
    for (auto& e : sets_[s].entry) {
      uint64_t w = e.load(std::memory_order_relaxed);
      if (w != 0 && fdb_port(w) == port) e.compare_exchange_strong(w, 0);
    }
  }
}

std::vector<Fdb::Row> Fdb::rows(const SwitchRec& sw, uint32_t now) const {
  std::vector<Row> out;
  for (uint32_t s = 0; s < kFdbSets; s++) {
    for (uint32_t i = 0; i < kFdbWays; i++) {
      const uint64_t w = sets_[s].entry[i].load(std::memory_order_relaxed);
      const uint32_t seen = sets_[s].seen[i].load(std::memory_order_relaxed);
      if (valid(sw, w, seen, now)) out.push_back({w, seen});
    }
  }
  return out;
}

uint32_t Fdb::count(const SwitchRec& sw, uint32_t now) const {
  return static_cast<uint32_t>(rows(sw, now).size());
}

}  // namespace vale
