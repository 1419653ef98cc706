#pragma once

#include <sqlite3.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace test {

/// A disk for SQLite that loses power: what was written and not synced reaches it by sectors, some
/// and some not. A VFS by the name `power_cut`; all files are in memory.
///
/// Threads: any.
class PowerCutDisk {
 public:
  static constexpr std::size_t sector = 512;

  /// Registered with SQLite once; every file of the process' `power_cut` databases is on it.
  static PowerCutDisk& instance() {
    static PowerCutDisk disk;
    return disk;
  }

  /// From now on nothing is there.
  void format() {
    std::lock_guard lock(mutex_);
    files_.clear();
    off_ = false;
    left_ = -1;
    failing_syncs_ = 0;
    bad_ = false;
    most_bytes_ = static_cast<std::size_t>(-1);
  }
  /// The power goes at the n-th write or sync from now on.
  void cut_after(std::int64_t n) {
    std::lock_guard lock(mutex_);
    left_ = n;
  }
  /// The next sync fails: what it should have synced is lost at the next power cut, and each of the
  /// file's open handles is told so once, as Linux does it. It takes until then.
  void fail_next_sync(std::shared_future<void> until = {}) {
    std::lock_guard lock(mutex_);
    failing_syncs_ = 1;
    fails_after_ = std::move(until);
  }
  /// As long as it is bad, every read and write is an I/O error.
  void set_bad(bool bad) {
    std::lock_guard lock(mutex_);
    bad_ = bad;
  }
  /// Writes that would make a file larger than that find no space.
  void limit_files(std::size_t bytes) {
    std::lock_guard lock(mutex_);
    most_bytes_ = bytes;
  }
  [[nodiscard]] std::uint64_t syncs() {
    std::lock_guard lock(mutex_);
    return syncs_;
  }
  /// Returns when so many syncs have begun.
  void wait_for_syncs(std::uint64_t n) {
    std::unique_lock lock(mutex_);
    synced_.wait(lock, [&] { return syncs_ >= n; });
  }
  [[nodiscard]] bool is_off() {
    std::lock_guard lock(mutex_);
    return off_;
  }
  void cut_now() {
    std::lock_guard lock(mutex_);
    off_ = true;
  }
  /// Until nobody has a file open. What a power cut ends at once may take a moment here, and must
  /// not meddle with what comes after the reboot: SQLite deletes a log by its name.
  void wait_until_closed() {
    std::unique_lock lock(mutex_);
    closed_.wait(lock, [&] { return open_ == 0; });
  }
  /// The power comes back; `reached(n)` says of n unsynced sectors which one has reached the disk.
  void reboot(const std::function<bool()>& reached) {
    std::lock_guard lock(mutex_);
    for (auto& [name, file] : files_) {
      File& f = *file;
      std::vector<char> image = f.durable;
      for (const std::size_t s : f.dirty) {
        if (!reached()) continue;
        const std::size_t begin = s * sector;
        const std::size_t end = std::min(begin + sector, f.now.size());
        if (begin >= end) continue;
        if (image.size() < end) image.resize(end);
        std::copy(f.now.begin() + static_cast<std::ptrdiff_t>(begin),
                  f.now.begin() + static_cast<std::ptrdiff_t>(end),
                  image.begin() + static_cast<std::ptrdiff_t>(begin));
      }
      auto fresh = std::make_shared<File>();
      fresh->now = fresh->durable = std::move(image);
      file = std::move(fresh);
    }
    off_ = false;
    left_ = -1;
  }

 private:
  struct File {
    std::vector<char> now;
    std::vector<char> durable;
    std::set<std::size_t> dirty;
    bool in_writeback = false;
    std::uint64_t errors = 0;  // of writing it back
    // Locks of the file, and of the shared memory beside it.
    int shared = 0;
    const void* reserved = nullptr;
    const void* exclusive = nullptr;
    std::vector<std::unique_ptr<char[]>> shm;
    int shm_shared[SQLITE_SHM_NLOCK] = {};
    const void* shm_exclusive[SQLITE_SHM_NLOCK] = {};
  };
  struct Handle {
    sqlite3_file base;
    PowerCutDisk* disk;
    std::shared_ptr<File>* file;
    int lock;
    unsigned shm_shared;
    std::uint64_t errors;  // that it was told of
  };

  PowerCutDisk() {
    sqlite3_vfs* real = sqlite3_vfs_find(nullptr);
    vfs_ = *real;
    vfs_.zName = "power_cut";
    vfs_.szOsFile = sizeof(Handle);
    vfs_.pAppData = this;
    vfs_.xOpen = open;
    vfs_.xDelete = remove;
    vfs_.xAccess = access;
    vfs_.xFullPathname = [](sqlite3_vfs*, const char* name, int n, char* out) {
      sqlite3_snprintf(n, out, "%s", name);
      return SQLITE_OK;
    };
    sqlite3_vfs_register(&vfs_, 0);
  }

  /// False when the power is off. Under the mutex.
  bool powered(bool counts) {
    if (counts && !off_ && left_ >= 0 && left_-- == 0) off_ = true;
    return !off_;
  }

  static Handle& of(sqlite3_file* f) { return *reinterpret_cast<Handle*>(f); }
  static File& file_of(sqlite3_file* f) { return **of(f).file; }

  static int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* f, int flags, int* out) {
    auto& disk = *static_cast<PowerCutDisk*>(vfs->pAppData);
    std::lock_guard lock(disk.mutex_);
    Handle& h = of(f);
    h.base.pMethods = nullptr;
    if (!disk.powered(false)) return SQLITE_IOERR;
    auto& file = disk.files_[name != nullptr ? name : "temporary"];
    if (!file) {
      if ((flags & SQLITE_OPEN_CREATE) == 0 && (flags & SQLITE_OPEN_MAIN_DB) == 0)
        return SQLITE_CANTOPEN;
      file = std::make_shared<File>();
    }
    h.disk = &disk;
    h.file = new std::shared_ptr<File>(file);
    h.lock = SQLITE_LOCK_NONE;
    h.shm_shared = 0;
    h.errors = file->errors;
    h.base.pMethods = &methods();
    ++disk.open_;
    if (out != nullptr) *out = flags;
    return SQLITE_OK;
  }
  static int remove(sqlite3_vfs* vfs, const char* name, int) {
    auto& disk = *static_cast<PowerCutDisk*>(vfs->pAppData);
    std::lock_guard lock(disk.mutex_);
    if (!disk.powered(true)) return SQLITE_IOERR_DELETE;
    disk.files_.erase(name);
    return SQLITE_OK;
  }
  static int access(sqlite3_vfs* vfs, const char* name, int, int* result) {
    auto& disk = *static_cast<PowerCutDisk*>(vfs->pAppData);
    std::lock_guard lock(disk.mutex_);
    const auto file = disk.files_.find(name);
    *result = file != disk.files_.end() && !file->second->now.empty() ? 1 : 0;
    return SQLITE_OK;
  }

  static int close(sqlite3_file* f) {
    Handle& h = of(f);
    std::lock_guard lock(h.disk->mutex_);
    unlock_to(f, SQLITE_LOCK_NONE);
    delete h.file;
    if (--h.disk->open_ == 0) h.disk->closed_.notify_all();
    return SQLITE_OK;
  }
  static int read(sqlite3_file* f, void* to, int n, sqlite3_int64 at) {
    Handle& h = of(f);
    std::lock_guard lock(h.disk->mutex_);
    if (!h.disk->powered(false) || h.disk->bad_) return SQLITE_IOERR_READ;
    const auto& now = file_of(f).now;
    const auto begin = static_cast<std::size_t>(at);
    const std::size_t have =
        begin < now.size() ? std::min(now.size() - begin, static_cast<std::size_t>(n)) : 0;
    if (have > 0) std::memcpy(to, now.data() + begin, have);
    if (have == static_cast<std::size_t>(n)) return SQLITE_OK;
    std::memset(static_cast<char*>(to) + have, 0, static_cast<std::size_t>(n) - have);
    return SQLITE_IOERR_SHORT_READ;
  }
  static int write(sqlite3_file* f, const void* from, int n, sqlite3_int64 at) {
    Handle& h = of(f);
    std::lock_guard lock(h.disk->mutex_);
    if (!h.disk->powered(true) || h.disk->bad_) return SQLITE_IOERR_WRITE;
    File& file = file_of(f);
    const auto begin = static_cast<std::size_t>(at);
    const std::size_t end = begin + static_cast<std::size_t>(n);
    if (end > h.disk->most_bytes_) return SQLITE_FULL;
    if (file.now.size() < end) file.now.resize(end);
    std::memcpy(file.now.data() + begin, from, static_cast<std::size_t>(n));
    for (std::size_t s = begin / sector; s <= (end - 1) / sector; ++s) file.dirty.insert(s);
    return SQLITE_OK;
  }
  static int truncate(sqlite3_file* f, sqlite3_int64 size) {
    Handle& h = of(f);
    std::lock_guard lock(h.disk->mutex_);
    if (!h.disk->powered(true)) return SQLITE_IOERR_TRUNCATE;
    File& file = file_of(f);
    file.now.resize(static_cast<std::size_t>(size));
    file.durable.resize(std::min(file.durable.size(), file.now.size()));
    return SQLITE_OK;
  }
  static int sync(sqlite3_file* f, int) {
    Handle& h = of(f);
    std::unique_lock lock(h.disk->mutex_);
    if (!h.disk->powered(true)) return SQLITE_IOERR_FSYNC;
    File& file = file_of(f);
    ++h.disk->syncs_;
    h.disk->synced_.notify_all();
    h.disk->synced_.wait(lock, [&] { return !file.in_writeback; });
    if (h.disk->failing_syncs_ > 0) {
      --h.disk->failing_syncs_;
      file.dirty.clear();
      if (const auto until = std::exchange(h.disk->fails_after_, {}); until.valid()) {
        file.in_writeback = true;
        lock.unlock();
        until.wait();
        lock.lock();
        file.in_writeback = false;
        h.disk->synced_.notify_all();
      }
      ++file.errors;
    }
    if (std::exchange(h.errors, file.errors) != file.errors) return SQLITE_IOERR_FSYNC;
    file.durable.resize(file.now.size());
    for (const std::size_t s : file.dirty) {
      const std::size_t begin = s * sector;
      const std::size_t end = std::min(begin + sector, file.now.size());
      if (begin < end)
        std::memcpy(file.durable.data() + begin, file.now.data() + begin, end - begin);
    }
    file.dirty.clear();
    return SQLITE_OK;
  }
  static int size(sqlite3_file* f, sqlite3_int64* result) {
    Handle& h = of(f);
    std::lock_guard lock(h.disk->mutex_);
    *result = static_cast<sqlite3_int64>(file_of(f).now.size());
    return SQLITE_OK;
  }

  static int lock(sqlite3_file* f, int wanted) {
    Handle& h = of(f);
    std::lock_guard guard(h.disk->mutex_);
    File& file = file_of(f);
    if (h.lock >= wanted) return SQLITE_OK;
    if (file.exclusive != nullptr && file.exclusive != f) return SQLITE_BUSY;
    if (wanted >= SQLITE_LOCK_RESERVED && file.reserved != nullptr && file.reserved != f)
      return SQLITE_BUSY;
    if (h.lock == SQLITE_LOCK_NONE) ++file.shared;
    if (wanted >= SQLITE_LOCK_RESERVED) file.reserved = f;
    if (wanted == SQLITE_LOCK_EXCLUSIVE) {
      if (file.shared > 1) {
        h.lock = std::max(h.lock, static_cast<int>(SQLITE_LOCK_RESERVED));
        return SQLITE_BUSY;
      }
      file.exclusive = f;
    }
    h.lock = wanted;
    return SQLITE_OK;
  }
  static void unlock_to(sqlite3_file* f, int wanted) {
    Handle& h = of(f);
    File& file = file_of(f);
    if (h.lock <= wanted) return;
    if (file.exclusive == f) file.exclusive = nullptr;
    if (file.reserved == f) file.reserved = nullptr;
    if (wanted == SQLITE_LOCK_NONE) --file.shared;
    h.lock = wanted;
  }
  static int unlock(sqlite3_file* f, int wanted) {
    std::lock_guard guard(of(f).disk->mutex_);
    unlock_to(f, wanted);
    return SQLITE_OK;
  }
  static int reserved(sqlite3_file* f, int* result) {
    std::lock_guard guard(of(f).disk->mutex_);
    *result = file_of(f).reserved != nullptr ? 1 : 0;
    return SQLITE_OK;
  }

  static int shm_map(sqlite3_file* f, int region, int n, int extend, void volatile** out) {
    std::lock_guard guard(of(f).disk->mutex_);
    auto& shm = file_of(f).shm;
    const auto wanted = static_cast<std::size_t>(region);
    *out = nullptr;
    if (shm.size() <= wanted && extend == 0) return SQLITE_OK;
    while (shm.size() <= wanted)
      shm.push_back(std::make_unique<char[]>(static_cast<std::size_t>(n)));
    *out = shm[wanted].get();
    return SQLITE_OK;
  }
  static int shm_lock(sqlite3_file* f, int offset, int n, int flags) {
    Handle& h = of(f);
    std::lock_guard guard(h.disk->mutex_);
    File& file = file_of(f);
    for (int pass = 0; pass < 2; ++pass)
      for (int i = offset; i < offset + n; ++i) {
        const unsigned bit = 1U << static_cast<unsigned>(i);
        if ((flags & SQLITE_SHM_UNLOCK) != 0) {
          if (pass == 0) continue;
          if ((flags & SQLITE_SHM_SHARED) != 0) {
            if ((h.shm_shared & bit) != 0) --file.shm_shared[i];
            h.shm_shared &= ~bit;
          } else if (file.shm_exclusive[i] == f) {
            file.shm_exclusive[i] = nullptr;
          }
        } else if ((flags & SQLITE_SHM_SHARED) != 0) {
          if (pass == 0) {
            if (file.shm_exclusive[i] != nullptr && file.shm_exclusive[i] != f) return SQLITE_BUSY;
          } else if ((h.shm_shared & bit) == 0) {
            ++file.shm_shared[i];
            h.shm_shared |= bit;
          }
        } else {
          if (pass == 0) {
            const int others = file.shm_shared[i] - ((h.shm_shared & bit) != 0 ? 1 : 0);
            if (others > 0 || (file.shm_exclusive[i] != nullptr && file.shm_exclusive[i] != f))
              return SQLITE_BUSY;
          } else {
            file.shm_exclusive[i] = f;
          }
        }
      }
    return SQLITE_OK;
  }
  static void shm_barrier(sqlite3_file*) {
    // A read-modify-write in place of a fence, which the thread sanitizer does not model.
    static std::atomic<int> here{0};
    here.fetch_add(1, std::memory_order_seq_cst);
  }
  static int shm_unmap(sqlite3_file* f, int remove) {
    std::lock_guard guard(of(f).disk->mutex_);
    if (remove != 0) file_of(f).shm.clear();
    return SQLITE_OK;
  }

  static const sqlite3_io_methods& methods() {
    static const sqlite3_io_methods all = [] {
      sqlite3_io_methods m{};
      m.iVersion = 2;
      m.xClose = close;
      m.xRead = read;
      m.xWrite = write;
      m.xTruncate = truncate;
      m.xSync = sync;
      m.xFileSize = size;
      m.xLock = lock;
      m.xUnlock = unlock;
      m.xCheckReservedLock = reserved;
      m.xFileControl = [](sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; };
      m.xSectorSize = [](sqlite3_file*) { return static_cast<int>(sector); };
      m.xDeviceCharacteristics = [](sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; };
      m.xShmMap = shm_map;
      m.xShmLock = shm_lock;
      m.xShmBarrier = shm_barrier;
      m.xShmUnmap = shm_unmap;
      return m;
    }();
    return all;
  }

  std::mutex mutex_;
  std::condition_variable closed_;
  std::condition_variable synced_;
  std::size_t open_ = 0;
  std::map<std::string, std::shared_ptr<File>> files_;
  std::int64_t left_ = -1;
  int failing_syncs_ = 0;
  std::shared_future<void> fails_after_;
  bool bad_ = false;
  std::size_t most_bytes_ = static_cast<std::size_t>(-1);
  std::uint64_t syncs_ = 0;
  bool off_ = false;
  sqlite3_vfs vfs_{};
};

}  // namespace test
