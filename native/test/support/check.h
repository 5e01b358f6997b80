// SPDX-License-Identifier: BSD-2-Clause
// The native test programs' harness. A program is one file: include this, write TEST(name) { … }.
// A failed check is printed and the test goes on; REQUIRE leaves the test; SKIP leaves it and
// counts it as skipped. The last line is "N passed, N failed, N skipped"; exit code 1 when any
// failed. An argument runs only the tests whose name contains it.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace check {

struct Test {
  const char* name;
  void (*run)();
};

struct State {
  std::vector<Test> tests;
  bool failed = false;  // in the test that runs
  bool skipped = false;
};

inline State& state() {
  static State it;
  return it;
}

struct Register {
  Register(const char* name, void (*run)()) { state().tests.push_back({name, run}); }
};

inline void fail(const char* file, int line, const std::string& text) {
  state().failed = true;
  std::printf("  %s:%d: %s\n", file, line, text.c_str());
}

inline void skip(const char* reason) {
  state().skipped = true;
  std::printf("  skipped: %s\n", reason);
}

template <typename T>
std::string show(const T& value) {
  if constexpr (std::is_convertible_v<T, std::string_view>) {
    return "\"" + std::string(std::string_view(value)) + "\"";
  } else if constexpr (std::is_same_v<T, bool>) {
    return value ? "true" : "false";
  } else if constexpr (std::is_enum_v<T>) {
    return std::to_string(static_cast<long long>(value));
  } else if constexpr (std::is_arithmetic_v<T>) {
    return std::to_string(value);
  } else if constexpr (std::is_pointer_v<T>) {
    char text[32];
    std::snprintf(text, sizeof text, "%p", static_cast<const void*>(value));
    return text;
  } else {
    return "(value)";
  }
}

template <typename A, typename B>
bool same(const A& a, const B& b) {
  if constexpr (std::is_convertible_v<A, std::string_view> &&
                std::is_convertible_v<B, std::string_view>) {
    return std::string_view(a) == std::string_view(b);
  } else if constexpr (std::is_integral_v<A> && std::is_integral_v<B>) {
    // Mixed signedness compares by value: -1 is never equal to a large unsigned number.
    return (a < A{}) == (b < B{}) &&
           static_cast<unsigned long long>(a) == static_cast<unsigned long long>(b);
  } else {
    return a == b;
  }
}

template <typename A, typename B>
void equal(const A& a, const B& b, const char* a_text, const char* b_text, const char* file,
           int line) {
  if (same(a, b)) return;
  fail(file, line,
       std::string(a_text) + " is " + show(a) + ", expected " + show(b) +
           (std::string_view(b_text) == show(b) ? "" : std::string(" (") + b_text + ")"));
}

inline int run_all(int argc, char** argv) {
  int passed = 0, failed = 0, skipped = 0;
  for (const Test& test : state().tests) {
    if (argc > 1 && std::strstr(test.name, argv[1]) == nullptr) continue;
    state().failed = state().skipped = false;
    std::printf("%s\n", test.name);
    std::fflush(stdout);
    test.run();
    if (state().failed) {
      failed++;
    } else if (state().skipped) {
      skipped++;
    } else {
      passed++;
    }
  }
  std::printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
  return failed == 0 ? 0 : 1;
}

}  // namespace check

#define TEST(name)                                                  \
  static void test_##name();                                        \
  static const check::Register register_##name(#name, test_##name); \
  static void test_##name()

#define CHECK(cond)                                      \
  do {                                                   \
    if (!(cond)) check::fail(__FILE__, __LINE__, #cond); \
  } while (0)

#define CHECK_EQ(a, b) check::equal((a), (b), #a, #b, __FILE__, __LINE__)

// For vale::Status: shows the line of the error.
#define CHECK_OK(status)                                                              \
  do {                                                                                \
    const auto check_status = (status);                                               \
    if (!check_status.ok())                                                           \
      check::fail(__FILE__, __LINE__, std::string(#status ": ") + check_status.text); \
  } while (0)

#define REQUIRE(cond)                         \
  do {                                        \
    if (!(cond)) {                            \
      check::fail(__FILE__, __LINE__, #cond); \
      return;                                 \
    }                                         \
  } while (0)

#define SKIP(reason)     \
  do {                   \
    check::skip(reason); \
    return;              \
  } while (0)

int main(int argc, char** argv) { return check::run_all(argc, argv); }
