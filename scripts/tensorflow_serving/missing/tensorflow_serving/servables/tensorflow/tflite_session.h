// No TensorFlow Lite: its models are refused.
#pragma once

#include <memory>
#include <string>

#include "tensorflow/core/platform/errors.h"
#include "tensorflow_serving/servables/tensorflow/serving_session.h"

namespace tensorflow {
namespace serving {

class TfLiteSession : public ServingSession {
 public:
  template <typename Signatures>
  static Status Create(std::string&&, const SessionOptions&, int, int,
                       std::unique_ptr<TfLiteSession>*, Signatures*) {
    return errors::Unimplemented("built without TensorFlow Lite");
  }
};

}  // namespace serving
}  // namespace tensorflow
