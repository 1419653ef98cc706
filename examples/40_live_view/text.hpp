#pragma once

#include <microbatch/core/clock.hpp>
#include <span>
#include <string>
#include <string_view>

/// One block per value, as high as the value is beside the largest one: ` ▁▂▃▄▅▆▇█`.
std::string sparkline(std::span<const double> values);

/// 1234567 -> `1.23 M`; at most six columns.
std::string short_number(double value);
/// 1500000 ns -> `1.50 ms`.
std::string short_time(double nanoseconds);

/// The first `columns` columns of a UTF-8 text in which every character is one wide.
std::string cut_to(std::string_view text, std::size_t columns);
