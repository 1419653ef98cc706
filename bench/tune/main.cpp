// What settings suit a workload? --help tells the options, docs/tuning.md how to use it.

#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <fstream>
#include <stdexcept>
#include <string>

#include "options.hpp"
#include "page.hpp"
#include "search.hpp"
#include "table.hpp"

namespace {

int run(const tune::Options& options) {
  std::ofstream page(options.page, std::ios::binary);
  if (!page) throw tune::BadOption(fmt::format("--page {}: cannot be written", options.page));

  const tune::Report report = tune::search(options);
  fmt::print("{}", tune::text_of(report));

  page << tune::page_of(report) << std::flush;
  if (!page) throw std::runtime_error(options.page + ": the page could not be written");
  fmt::print("\nCharts: {}\n", options.page);
  return report.found ? 0 : 1;
}

}  // namespace

int main(int count, char** arguments) {
  try {
    const tune::Options options = tune::parse_options(count, arguments);
    if (options.help) {
      fmt::print("{}", tune::help_text);
      return 0;
    }
    return run(options);
  } catch (const tune::BadOption& error) {
    fmt::print(stderr, "bench_tune: {}; --help tells the options\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench_tune: {}\n", error.what());
    return 1;
  }
}
