// A profiler without methods: the one in TensorFlow's library is bound to another gRPC.
#pragma once

#include <memory>

#include "grpcpp/impl/service_type.h"

namespace tensorflow {

namespace grpc {
struct ProfilerService {
  using Service = ::grpc::Service;
};
}  // namespace grpc

namespace profiler {
inline std::unique_ptr<::grpc::Service> CreateProfilerService() {
  return std::make_unique<::grpc::Service>();
}
}  // namespace profiler

}  // namespace tensorflow

namespace tsl::profiler {  // as later releases name it
using ::tensorflow::profiler::CreateProfilerService;
}  // namespace tsl::profiler
