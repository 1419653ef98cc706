// How does throughput grow with the partitions of a topic and the members of a group, and what does
// a rebalance cost? Members are processes on this machine whose callback waits, as for a database,
// so that it is not the cores which bound them.
//
//   bench_connectors_scaling [ROUNDS]     MICROBATCH_TEST_KAFKA=host:port names the broker

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <microbatch/kafka/sink.hpp>
#include <microbatch/kafka/source.hpp>
#include <microbatch/microbatch.hpp>
#include <mutex>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "kafka_bare.hpp"
#include "rounds.hpp"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using microbatch::kafka::Record;

constexpr std::size_t window = 10;
constexpr auto work = 2ms;              // what a window's callback waits
constexpr std::size_t capacity = 1000;  // of the stream: what a rebalance has to wait for

/// In nanoseconds of a clock that all processes share.
std::int64_t now() { return Clock::now().time_since_epoch().count(); }

/// What a member tells of a record when its window has ended.
struct Done {
  std::int64_t put;  // when it was put in, which is its value
  std::int64_t at;
};

int be_member(const std::string& broker, const std::string& topic, const std::string& group,
              const std::string& strategy) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::stop_source stop;
  const std::jthread listener([&](const std::stop_token& ended) {
    constexpr timespec a_while{.tv_sec = 0, .tv_nsec = 50'000'000};
    while (!ended.stop_requested())
      if (sigtimedwait(&signals, nullptr, &a_while) > 0) stop.request_stop();
  });
  microbatch::kafka::Source source({.properties = {{"bootstrap.servers", broker},
                                                   {"group.id", group},
                                                   {"auto.offset.reset", "earliest"},
                                                   {"partition.assignment.strategy", strategy},
                                                   {"heartbeat.interval.ms", "500"},
                                                   {"session.timeout.ms", "6000"}},
                                    .topics = {topic}});
  microbatch::run(
      source, microbatch::any_of(microbatch::CountWindow{window}, microbatch::MaxAgeWindow{5ms}),
      [](std::span<const Record> records) {
        std::this_thread::sleep_for(work);
        std::array<Done, window> done{};
        std::size_t n = 0;
        for (const Record& record : records) {
          Done& one = done[n++];
          std::from_chars(record.value->data(), record.value->data() + record.value->size(),
                          one.put);
          one.at = now();
        }
        // Short enough to go into the pipe as a whole.
        const auto size = n * sizeof(Done);
        if (::write(STDOUT_FILENO, done.data(), size) != static_cast<ssize_t>(size)) std::abort();
      },
      microbatch::NoSink{}, {.stream = {.capacity = capacity}, .stop = stop.get_token()});
  return 0;
}

/// The members of one group, and what they tell.
class Group {
 public:
  Group(std::string broker, std::string topic, std::string strategy)
      : arguments_{"/proc/self/exe",
                   "--member",
                   std::move(broker),
                   std::move(topic),
                   bench::kafka::unique("group"),
                   std::move(strategy)} {
    if (::pipe(pipe_) != 0) throw std::runtime_error("no pipe");
    reader_ = std::thread([this] {
      std::array<Done, 256> some{};
      for (ssize_t n = 0; (n = ::read(pipe_[0], some.data(), sizeof some)) > 0;) {
        const std::lock_guard lock(mutex_);
        done_.insert(done_.end(), some.begin(),
                     some.begin() + n / static_cast<ssize_t>(sizeof(Done)));
      }
    });
  }
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;
  ~Group() {
    while (!members_.empty()) end(SIGTERM);
    ::close(pipe_[1]);
    reader_.join();
    ::close(pipe_[0]);
  }

  void start() {
    std::vector<char*> argv;
    for (std::string& argument : arguments_) argv.push_back(argument.data());
    argv.push_back(nullptr);
    const pid_t member = ::fork();
    if (member == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::dup2(pipe_[1], STDOUT_FILENO);
      ::close(pipe_[0]);
      ::close(pipe_[1]);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    members_.push_back(member);
  }
  /// Of the member that came last.
  void end(int signal) {
    ::kill(members_.back(), signal);
    ::waitpid(members_.back(), nullptr, 0);
    members_.pop_back();
  }
  [[nodiscard]] std::vector<Done> done() const {
    const std::lock_guard lock(mutex_);
    return done_;
  }

 private:
  std::vector<std::string> arguments_;
  int pipe_[2] = {-1, -1};
  mutable std::mutex mutex_;
  std::vector<Done> done_;
  std::thread reader_;
  std::vector<pid_t> members_;
};

// --- throughput
// ------------------------------------------------------------------------------------

constexpr std::array partitions{1, 2, 4};
constexpr std::array members{1, 2, 3};

/// Records a second that so many members get done, with more waiting in every partition.
double throughput(const std::string& broker, const std::string& topic, int count) {
  constexpr auto settle = 5s, measured = 4s;
  Group group(broker, topic, "range");
  for (int i = 0; i < count; ++i) group.start();
  while (group.done().empty()) std::this_thread::sleep_for(10ms);
  std::this_thread::sleep_for(settle);
  const std::int64_t from = now();
  std::this_thread::sleep_for(measured);
  const std::int64_t to = now();
  const auto all = group.done();
  const auto n =
      std::ranges::count_if(all, [&](const Done& d) { return d.at >= from && d.at < to; });
  return static_cast<double>(n) / std::chrono::duration<double>(measured).count();
}

void measure_throughput(const std::string& broker, int rounds) {
  fmt::print(
      "windows of {}, each waits {} ms, streams of {}; {} rounds: records a second, median "
      "(range)\n",
      window, work.count(), capacity, rounds);
  fmt::print("{:<14}", "");
  for (const int m : members) fmt::print("{:>24}", fmt::format("{} member{}", m, m > 1 ? "s" : ""));
  fmt::print("\n");
  for (const int p : partitions) {
    const std::string topic = bench::kafka::make_topic(broker, p);
    bench::kafka::fill({.broker = broker,
                        .topic = topic,
                        .records = static_cast<std::size_t>(p) * 60'000,
                        .size = 16},
                       p);
    std::vector<std::vector<double>> rates(members.size());
    for (int round = 0; round < rounds; ++round)
      for (std::size_t m = 0; m < members.size(); ++m)
        rates[m].push_back(throughput(broker, topic, members[m]));
    fmt::print("{:<14}", fmt::format("{} partition{}", p, p > 1 ? "s" : ""));
    for (const auto& of_members : rates) {
      const auto [least, most] = std::ranges::minmax(of_members);
      fmt::print("{:>24}",
                 fmt::format("{:.0f} ({:.0f}-{:.0f})", bench::median(of_members), least, most));
    }
    fmt::print("\n");
  }
}

// --- rebalances
// ------------------------------------------------------------------------------------

/// Puts in a thousand records a second, until it ends.
class Input {
 public:
  Input(const std::string& broker, const std::string& topic)
      : thread_([this, broker, topic](const std::stop_token& stop) {
          microbatch::kafka::Sink sink(
              {.properties = {{"bootstrap.servers", broker}}, .topic = topic});
          auto next = Clock::now();
          for (int turn = 0; !stop.stop_requested(); ++turn) {
            std::vector<Record> records;
            for (int i = 0; i < 10; ++i)  // each with a time of its own, by which it is known
              records.push_back(
                  {.partition = (turn * 10 + i) % 4, .value = std::to_string(now() + i)});
            if (!sink.put(records).empty()) std::abort();
            put_ += records.size();
            std::this_thread::sleep_until(next += 10ms);
          }
        }) {}
  [[nodiscard]] std::size_t end() {
    thread_.request_stop();
    thread_.join();
    return put_;
  }

 private:
  std::size_t put_ = 0;
  std::jthread thread_;
};

struct Event {
  std::string name;
  std::chrono::seconds lasts;
  void (*happens)(Group&);
};
const std::array events{
    Event{"nothing happens", 5s, [](Group&) {}},
    Event{"a third member comes", 8s, [](Group& group) { group.start(); }},
    Event{"it leaves in order", 8s, [](Group& group) { group.end(SIGTERM); }},
    Event{"one of the two is killed", 15s, [](Group& group) { group.end(SIGKILL); }}};

/// What the records that were put in after an event had to wait, in milliseconds.
struct Delays {
  std::vector<double> median, longest;  // one of each round
  std::vector<double> seconds;          // of input that waited more than 100 ms
};

void one_round(const std::string& broker, const std::string& strategy,
               std::array<Delays, events.size()>& delays) {
  const std::string topic = bench::kafka::make_topic(broker, 4);
  Group group(broker, topic, strategy);
  group.start();
  group.start();
  std::this_thread::sleep_for(5s);  // until both have their partitions
  Input input(broker, topic);
  std::this_thread::sleep_for(2s);
  constexpr std::int64_t before = 100'000'000;  // what is on its way then is the event's, too
  std::array<std::int64_t, events.size() + 1> begins{};
  for (std::size_t i = 0; i < events.size(); ++i) {
    begins[i] = now() - before;
    events[i].happens(group);
    std::this_thread::sleep_for(events[i].lasts);
  }
  begins.back() = now() - before;
  const std::size_t put = input.end();
  std::unordered_map<std::int64_t, std::int64_t> first;  // a record may be done twice
  for (const auto until = Clock::now() + 30s; first.size() < put && Clock::now() < until;
       std::this_thread::sleep_for(50ms))
    for (const Done& done : group.done()) first.try_emplace(done.put, done.at);
  if (first.size() != put) throw std::runtime_error("records were lost");

  for (std::size_t i = 0; i < events.size(); ++i) {
    std::vector<double> waits;
    for (const auto& [put_at, at] : first)
      if (put_at >= begins[i] && put_at < begins[i + 1])
        waits.push_back(static_cast<double>(at - put_at) / 1e6);
    delays[i].median.push_back(bench::median(waits));
    delays[i].longest.push_back(std::ranges::max(waits));
    delays[i].seconds.push_back(
        static_cast<double>(std::ranges::count_if(waits, [](double ms) { return ms > 100; })) /
        1000);
  }
}

void measure_rebalances(const std::string& broker, const std::string& strategy, int rounds) {
  std::array<Delays, events.size()> delays;
  for (int round = 0; round < rounds; ++round) one_round(broker, strategy, delays);
  fmt::print(
      "\n{}: 1000 records a second over 4 partitions, 2 members, session.timeout.ms 6000; {} "
      "rounds\n{:<28}{:>16}{:>26}{:>26}\n",
      strategy, rounds, "", "median delay", "longest delay (range)", "input delayed > 100 ms");
  for (std::size_t i = 0; i < events.size(); ++i) {
    const auto [least, most] = std::ranges::minmax(delays[i].longest);
    fmt::print(
        "{:<28}{:>16}{:>26}{:>26}\n", events[i].name,
        fmt::format("{:.0f} ms", bench::median(delays[i].median)),
        fmt::format("{:.0f} ms ({:.0f}-{:.0f})", bench::median(delays[i].longest), least, most),
        fmt::format("{:.2f} s", bench::median(delays[i].seconds)));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 6 && std::string_view(argv[1]) == "--member")
    return be_member(argv[2], argv[3], argv[4], argv[5]);
  const std::string broker = bench::server("MICROBATCH_TEST_KAFKA");
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 3;
  measure_throughput(broker, rounds);
  for (const char* strategy : {"range", "cooperative-sticky"})
    measure_rebalances(broker, strategy, rounds);
}
