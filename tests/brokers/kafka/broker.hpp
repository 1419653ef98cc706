#pragma once

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdio>

#include "support/kafka.hpp"

namespace test::kafka {

/// The broker that tests/brokers/kafka.sh has started. Where there is none, the test ends here and
/// is reported as skipped, with the reason.
class RealBroker : public Broker {
 public:
  RealBroker() : RealBroker(facts()) {}

  /// What kafka.sh says of it; the test is skipped where it says nothing (a broker of the user's).
  [[nodiscard]] std::string fact(const std::string& name) const {
    const auto at = facts_.find(name);
    if (at == facts_.end()) skip("this broker offers no " + name);
    return at->second;
  }

 private:
  using Facts = std::map<std::string, std::string>;

  explicit RealBroker(Facts facts) : Broker(facts["bootstrap"]), facts_(std::move(facts)) {}

  [[noreturn]] static void skip(const std::string& why) {
    std::printf("skipped, because %s\n", why.c_str());
    std::fflush(stdout);
    std::_Exit(77);
  }
  static Facts facts() {
    Facts facts;
    if (const char* running = std::getenv("MICROBATCH_TEST_KAFKA")) {
      facts["bootstrap"] = running;
      return facts;
    }
    const char* folder = std::getenv("MICROBATCH_KAFKA_FOLDER");
    if (folder == nullptr) skip("neither MICROBATCH_TEST_KAFKA nor MICROBATCH_KAFKA_FOLDER is set");
    std::ifstream file(std::string(folder) + "/broker");
    for (std::string line; std::getline(file, line);)
      if (const auto at = line.find('='); at != std::string::npos)
        facts[line.substr(0, at)] = line.substr(at + 1);
    if (facts.count("unavailable") > 0) skip(facts["unavailable"]);
    if (facts.count("bootstrap") == 0) skip("tests/brokers/kafka.sh was not started");
    return facts;
  }

  const Facts facts_;
};

/// There is one proxied listener: one test at a time.
class Turn {
 public:
  explicit Turn(const std::string& file) : file_(::open(file.c_str(), O_CREAT | O_RDWR, 0600)) {
    ::flock(file_, LOCK_EX);
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() { ::close(file_); }

 private:
  int file_;
};

}  // namespace test::kafka
