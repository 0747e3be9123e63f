// A scheduler with one queue and threads of its own. The server does not use it (its models
// share a `SharedBatchScheduler`), but a function that it compiles names it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "tensorflow/core/kernels/batching_util/shared_batch_scheduler.h"

namespace tensorflow {
namespace serving {

template <typename TaskType>
class BasicBatchScheduler : public BatchScheduler<TaskType> {
  using Shared = SharedBatchScheduler<TaskType>;

 public:
  struct Options : Shared::QueueOptions {
    std::string thread_pool_name = "batch_threads";
    int num_batch_threads = port::MaxParallelism();
    int max_batch_size = 1000;
  };

  static Status Create(const Options& options,
                       std::function<void(std::unique_ptr<Batch<TaskType>>)> process,
                       std::unique_ptr<BasicBatchScheduler>* scheduler) {
    typename Shared::Options threads;
    threads.thread_pool_name = options.thread_pool_name;
    threads.num_batch_threads = options.num_batch_threads;
    std::shared_ptr<Shared> shared;
    TF_RETURN_IF_ERROR(Shared::Create(threads, &shared));
    typename Shared::QueueOptions queue = options;
    queue.input_batch_size_limit = options.max_batch_size;
    auto made = std::make_unique<BasicBatchScheduler>();
    TF_RETURN_IF_ERROR(shared->AddQueue(queue, std::move(process), &made->queue_));
    *scheduler = std::move(made);
    return OkStatus();
  }

  Status Schedule(std::unique_ptr<TaskType>* task) override { return queue_->Schedule(task); }
  size_t NumEnqueuedTasks() const override { return queue_->NumEnqueuedTasks(); }
  size_t SchedulingCapacity() const override { return queue_->SchedulingCapacity(); }
  size_t max_task_size() const override { return queue_->max_task_size(); }

 private:
  std::unique_ptr<BatchScheduler<TaskType>> queue_;
};

}  // namespace serving
}  // namespace tensorflow
