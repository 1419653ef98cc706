#pragma once

#include <librdkafka/rdkafka.h>

#include <cstddef>
#include <string>

/// What one would write by hand: loops over librdkafka's C API.
namespace bench::kafka {

/// One run: how many records, of which topic, with what.
struct Work {
  std::string broker;
  std::string topic;  ///< to be read, or written
  std::string to{};   ///< of a transaction's results
  std::size_t records = 0;
  std::size_t size = 0;   ///< of a value, in bytes
  std::size_t group = 1;  ///< per transaction
};

/// A name that no other run has.
std::string unique(const std::string& what);
std::string make_topic(const std::string& broker, int partitions);
/// Values of that size, spread over the partitions.
void fill(const Work& work, int partitions);

/// Seconds from the assignment (reading) or the first record (writing) to the last record.
double bare_poll_loop(const Work& work);
double bare_producer(const Work& work, const char* linger_ms);
double bare_transactions(const Work& work);

}  // namespace bench::kafka
