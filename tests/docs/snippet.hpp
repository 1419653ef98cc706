#pragma once

// What the documents' fragments may use without saying where it comes from; see check.sh. Declared only: nothing is linked.

#include <microbatch/async_append.hpp>
#include <microbatch/async_windows.hpp>
#include <microbatch/microbatch.hpp>
#include <microbatch/testing/manual_clock.hpp>
#include <microbatch/testing/manual_executor.hpp>
#include <microbatch/testing/recording_sink.hpp>
#include <microbatch/testing/vector_source.hpp>

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <deque>
#include <fstream>
#include <map>
#include <optional>
#include <semaphore>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace page {

using namespace std::chrono_literals;

extern microbatch::Stream<std::string> stream;
extern microbatch::ThreadPool pool;
extern std::string line;
extern std::vector<std::string> lines;

/// What a window's callback typically calls: somebody else's code, which may throw.
void store(std::span<const std::string> batch);
void callback(microbatch::Window<std::string>& window);

}  // namespace page
