#include "database.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

#include "schema.hpp"

namespace microbatch::inline v0_1::sqlite {

namespace {

/// The folder's real path with the file's own name, which must not be a link; creates the file.
std::string prepared(const std::string& path, const FileOptions& options) {
  options.check();
  const auto fail = [&](std::string_view why) {
    return StorageError(fmt::format("{}: cannot be opened: {}", path, why));
  };
  if (path.empty()) throw ConfigError("sqlite::Database: the path is empty");
  if (path.find('\0') != std::string::npos)
    throw ConfigError("sqlite::Database: the path must not hold a null byte");
  const std::filesystem::path given(path);
  std::error_code error;
  const auto folder = std::filesystem::canonical(
      given.has_parent_path() ? given.parent_path() : std::filesystem::path("."), error);
  if (error) throw fail("its folder: " + error.message());
  const std::string real = (folder / given.filename()).string();
  const int file =
      open(real.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, options.mode);
  if (file >= 0) {
    close(file);
    return real;
  }
  if (errno != EEXIST) throw fail(std::strerror(errno));
  struct stat status {};
  if (lstat(real.c_str(), &status) != 0) throw fail(std::strerror(errno));
  if (S_ISLNK(status.st_mode)) throw fail("it is a symbolic link; name the file itself");
  if (S_ISDIR(status.st_mode)) throw fail("it is a folder");
  if (!S_ISREG(status.st_mode)) throw fail("it is no regular file");
  if (access(real.c_str(), R_OK | W_OK) != 0) throw fail(std::strerror(errno));
  return real;
}

std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  return file >> id ? id : "unknown";
}

}  // namespace

void FileOptions::check() const {
  if (mode > 0777)
    throw ConfigError(fmt::format("FileOptions.mode must be from 0 to 0777, got {:#o}", mode));
  if (busy_timeout < Duration::zero() || busy_timeout > std::chrono::hours(1))
    throw ConfigError(fmt::format("FileOptions.busy_timeout must be from 0 to 1 hour, got {} ns",
                                  busy_timeout.count()));
  if (page_size < 512 || page_size > 65'536 || !std::has_single_bit(page_size))
    throw ConfigError(fmt::format(
        "FileOptions.page_size must be a power of two from 512 to 65536, got {}", page_size));
  if (checkpoint_bytes < page_size || checkpoint_bytes > (std::size_t{1} << 40))
    throw ConfigError(
        fmt::format("FileOptions.checkpoint_bytes must be from page_size ({}) to {}, got {}",
                    page_size, std::size_t{1} << 40, checkpoint_bytes));
}

Database::Impl::Impl(const std::string& path, FileOptions options)
    : path_(prepared(path, options)),
      options_(std::move(options)),
      boot_(boot_id()),
      process_(getpid()),
      side_(path_, options_.mode, boot_) {
  const SideFile::Writing writing(side_, options_.busy_timeout);
  write_.emplace(path_, options_, false);
  write_->execute(fmt::format("PRAGMA page_size = {}", options_.page_size).c_str());
  {
    Query mode = write_->query("PRAGMA journal_mode = WAL");
    if (!mode.step() || mode.bytes(0) != "wal")
      throw StorageError(fmt::format("{}: the write-ahead log cannot be turned on here", path_));
  }
  std::int64_t page = 0;
  {
    Query size = write_->query("PRAGMA page_size");
    if (size.step()) page = size.number(0);
  }
  const std::int64_t pages =
      static_cast<std::int64_t>(options_.checkpoint_bytes) / std::max<std::int64_t>(page, 512);
  write_->execute(fmt::format("PRAGMA journal_size_limit = {}; PRAGMA cache_size = -16384",
                              2 * options_.checkpoint_bytes)
                      .c_str());
  write_->checkpoint_beyond(static_cast<int>(std::min(pages, std::int64_t{1} << 30)));
  make_schema();
  log_.emplace(*write_);
  read_.emplace(path_, options_, true);
}

Database::Impl::~Impl() {
  try {  // the last connection copies the log back
    const SideFile::Writing writing(side_, options_.busy_timeout);
    read_.reset();
    log_.reset();
    write_.reset();
  } catch (...) {  // it is copied back by the next one
  }
}

void Database::Impl::check_usable() const {
  if (process_ != getpid())
    throw StorageError(fmt::format("{}: it was opened before a fork; open it in the child", path_));
  // acquire: with give_up().
  if (failed_.load(std::memory_order_acquire))
    throw StorageError(failure_->what(), failure_->may_pass());
}

void Database::Impl::give_up(const StorageError& error) noexcept {
  std::call_once(giving_up_, [&] {
    failure_ = error;
    failed_.store(true, std::memory_order_release);
  });
}

void Database::Impl::sync() {
  check_usable();  // first: in a forked child the lock may be held for ever
  std::lock_guard lock(syncing_);
  check_usable();
  const int code = log_->sync();
  if (code == SQLITE_OK) return;
  try {
    throw_storage_error(path_, nullptr, code);
  } catch (const StorageError& error) {
    give_up(error);
    throw;
  }
}

void Database::Impl::make_schema() {
  write_->set_sync(true);
  Rollback rollback(*this);
  write_->execute("BEGIN IMMEDIATE");
  bool there = false;
  {
    Query query = write_->query("SELECT 1 FROM sqlite_master WHERE name = 'microbatch_meta'");
    there = query.step();
  }
  if (!there) {
    write_->execute(schema);
    write_->execute(items_view);
    side_.forget_marks();
  } else {
    Query query = write_->query("SELECT value FROM microbatch_meta WHERE key = 'schema'");
    const std::int64_t version = query.step() ? query.number(0) : 0;
    if (version != schema_version)
      throw StorageError(fmt::format(
          "{}: its tables have version {}; this program knows version {}{}", path_, version,
          schema_version, version > schema_version ? ": a newer program has written it" : ""));
  }
  rollback.commit();
}

Database::Impl::Rollback::~Rollback() {
  if (done_ || !impl_.write_->in_transaction()) return;
  try {
    impl_.write_->execute("ROLLBACK");
  } catch (...) {  // the next BEGIN tells
  }
}

void Database::Impl::Rollback::commit() {
  try {
    impl_.write_->execute("COMMIT");
  } catch (const StorageError& error) {
    // Whatever else failed, the transaction was rolled back. After a failed fsync nobody knows.
    if (!error.may_pass()) impl_.give_up(error);
    throw;
  }
  done_ = true;
}

Database::Database(const std::string& path, const FileOptions& options)
    : impl_(std::make_unique<Impl>(path, options)) {}
Database::~Database() = default;
const std::string& Database::path() const noexcept { return impl_->path(); }

void Database::execute(const Transaction& transaction, Safety safety) {
  impl_->write(safety, [&](Connection& connection) {
    for (const auto& statement : transaction.statements()) connection.run(statement);
  });
}
void Database::execute(const std::string& sql, Safety safety) {
  Transaction transaction;
  transaction.execute(sql);
  execute(transaction, safety);
}

}  // namespace microbatch::inline v0_1::sqlite
