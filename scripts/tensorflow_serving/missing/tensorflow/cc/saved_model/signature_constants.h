// Names that a SavedModel's signatures have, as TensorFlow's documentation gives them.
#pragma once

namespace tensorflow {

constexpr char kDefaultServingSignatureDefKey[] = "serving_default";

constexpr char kPredictMethodName[] = "tensorflow/serving/predict";

constexpr char kClassifyMethodName[] = "tensorflow/serving/classify";
constexpr char kClassifyInputs[] = "inputs";
constexpr char kClassifyOutputClasses[] = "classes";
constexpr char kClassifyOutputScores[] = "scores";

constexpr char kRegressMethodName[] = "tensorflow/serving/regress";
constexpr char kRegressInputs[] = "inputs";
constexpr char kRegressOutputs[] = "outputs";

}  // namespace tensorflow
