// The thread sanitizer knows POSIX threads, and not those of C11, which librdkafka is built on: a
// thread that it has not seen begin ends the program. So here they are, over what it knows; glibc's
// own are the same thing underneath. librdkafka's atomics it does not see either, so what the
// library itself frees and locks is left out.

#include <pthread.h>
#include <threads.h>

#include <cerrno>
#include <cstdint>
#include <ctime>
#include <memory>

namespace {

static_assert(sizeof(mtx_t) == sizeof(pthread_mutex_t) && sizeof(cnd_t) == sizeof(pthread_cond_t));

pthread_mutex_t* of(mtx_t* mutex) { return reinterpret_cast<pthread_mutex_t*>(mutex); }
pthread_cond_t* of(cnd_t* condition) { return reinterpret_cast<pthread_cond_t*>(condition); }

int result(int error) {
  switch (error) {
    case 0:
      return thrd_success;
    case EBUSY:
      return thrd_busy;
    case ETIMEDOUT:
      return thrd_timedout;
    case ENOMEM:
      return thrd_nomem;
    default:
      return thrd_error;
  }
}

struct Start {
  thrd_start_t function;
  void* argument;
};

void* run(void* raw) {
  const std::unique_ptr<Start> start(static_cast<Start*>(raw));
  const Start copy = *start;
  return reinterpret_cast<void*>(static_cast<std::intptr_t>(copy.function(copy.argument)));
}

}  // namespace

extern "C" {

const char* __tsan_default_suppressions() { return "called_from_lib:librdkafka.so\n"; }

int thrd_create(thrd_t* thread, thrd_start_t function, void* argument) {
  auto start = std::make_unique<Start>(Start{function, argument});
  const int error = pthread_create(thread, nullptr, run, start.get());
  if (error == 0) (void)start.release();
  return result(error);
}
int thrd_join(thrd_t thread, int* value) {
  void* raw = nullptr;
  const int error = pthread_join(thread, &raw);
  if (value != nullptr) *value = static_cast<int>(reinterpret_cast<std::intptr_t>(raw));
  return result(error);
}

int mtx_init(mtx_t* mutex, int type) noexcept {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  if ((type & mtx_recursive) != 0) pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
  const int error = pthread_mutex_init(of(mutex), &attributes);
  pthread_mutexattr_destroy(&attributes);
  return result(error);
}
int mtx_lock(mtx_t* mutex) { return result(pthread_mutex_lock(of(mutex))); }
int mtx_trylock(mtx_t* mutex) { return result(pthread_mutex_trylock(of(mutex))); }
int mtx_unlock(mtx_t* mutex) noexcept { return result(pthread_mutex_unlock(of(mutex))); }
void mtx_destroy(mtx_t* mutex) noexcept { (void)pthread_mutex_destroy(of(mutex)); }

int cnd_init(cnd_t* condition) noexcept {
  return result(pthread_cond_init(of(condition), nullptr));
}
int cnd_signal(cnd_t* condition) noexcept { return result(pthread_cond_signal(of(condition))); }
int cnd_broadcast(cnd_t* condition) noexcept {
  return result(pthread_cond_broadcast(of(condition)));
}
int cnd_wait(cnd_t* condition, mtx_t* mutex) {
  return result(pthread_cond_wait(of(condition), of(mutex)));
}
int cnd_timedwait(cnd_t* condition, mtx_t* mutex, const timespec* until) {
  return result(pthread_cond_timedwait(of(condition), of(mutex), until));
}
void cnd_destroy(cnd_t* condition) noexcept { (void)pthread_cond_destroy(of(condition)); }

}  // extern "C"
