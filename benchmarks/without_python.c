/* Answers requests to a SavedModel by TensorFlow's own loader, in a process without Python.

   without_python MODEL [LIBRARY...] < requests > replies

   MODEL is the folder, each LIBRARY has operations. All numbers are little-endian. A request
   is a count (int32) of inputs, each a name ("operation:output") and a tensor, and a count of
   outputs, each a name; its reply is the tensors of those outputs. A tensor is its type (int32,
   TF_DataType), its rank (int32), its sizes (int64) and its values; a name, and a value that is
   a string, is its length (int32) and its bytes. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"

enum { MOST = 64 }; /* tensors of a request, and dimensions of a tensor */

static void fail(const char *what) {
  fprintf(stderr, "without_python: %s\n", what);
  exit(1);
}

static void check(const TF_Status *status) {
  if (TF_GetCode(status) != TF_OK) fail(TF_Message(status));
}

static void read_all(void *to, size_t size) {
  if (size && fread(to, size, 1, stdin) != 1) fail("the request is cut short");
}

static int32_t read_int(void) {
  int32_t value;
  read_all(&value, sizeof value);
  return value;
}

static int read_count(void) {
  int32_t count = read_int();
  if (count < 0 || count > MOST) fail("too many tensors or dimensions");
  return count;
}

static char *read_string(int32_t *length) {
  *length = read_int();
  if (*length < 0) fail("a string of negative length");
  char *text = malloc(*length + 1);
  if (!text) fail("no memory");
  read_all(text, *length);
  text[*length] = 0;
  return text;
}

static TF_Output read_output(TF_Graph *graph) {
  int32_t length;
  char *name = read_string(&length), *colon = strrchr(name, ':');
  if (!colon) fail("a name without an output");
  *colon = 0;
  TF_Output output = {TF_GraphOperationByName(graph, name), atoi(colon + 1)};
  if (!output.oper) fail(name);
  free(name);
  return output;
}

static TF_Tensor *read_tensor(void) {
  TF_DataType type = read_int();
  int rank = read_count();
  int64_t sizes[MOST], values = 1;
  read_all(sizes, rank * sizeof *sizes);
  for (int i = 0; i < rank; i++) values *= sizes[i];
  size_t width = type == TF_STRING ? sizeof(TF_TString) : TF_DataTypeSize(type);
  TF_Tensor *tensor = TF_AllocateTensor(type, sizes, rank, values * width);
  if (type != TF_STRING) {
    read_all(TF_TensorData(tensor), values * width);
    return tensor;
  }
  TF_TString *strings = TF_TensorData(tensor);
  for (int64_t i = 0; i < values; i++) {
    int32_t length;
    char *text = read_string(&length);
    TF_StringInit(&strings[i]);
    TF_StringCopy(&strings[i], text, length);
    free(text);
  }
  return tensor;
}

static void write_int(int32_t value) { fwrite(&value, sizeof value, 1, stdout); }

static void write_tensor(const TF_Tensor *tensor) {
  write_int(TF_TensorType(tensor));
  write_int(TF_NumDims(tensor));
  for (int i = 0; i < TF_NumDims(tensor); i++) {
    int64_t size = TF_Dim(tensor, i);
    fwrite(&size, sizeof size, 1, stdout);
  }
  if (TF_TensorType(tensor) != TF_STRING) {
    fwrite(TF_TensorData(tensor), 1, TF_TensorByteSize(tensor), stdout);
    return;
  }
  const TF_TString *strings = TF_TensorData(tensor);
  for (int64_t i = 0; i < TF_TensorElementCount(tensor); i++) {
    write_int(TF_StringGetSize(&strings[i]));
    fwrite(TF_StringGetDataPointer(&strings[i]), 1, TF_StringGetSize(&strings[i]), stdout);
  }
}

int main(int argc, char **argv) {
  if (argc < 2) fail("expected a model");
  TF_Status *status = TF_NewStatus();
  for (int i = 2; i < argc; i++) {
    TF_LoadLibrary(argv[i], status);
    check(status);
  }
  const char *tag = "serve";
  TF_Graph *graph = TF_NewGraph();
  TF_SessionOptions *options = TF_NewSessionOptions();
  TF_Session *session =
      TF_LoadSessionFromSavedModel(options, NULL, argv[1], &tag, 1, graph, NULL, status);
  check(status);
  for (int next; (next = getchar()) != EOF;) {
    ungetc(next, stdin);
    TF_Output fed[MOST], fetched[MOST];
    TF_Tensor *inputs[MOST], *outputs[MOST];
    int ins = read_count();
    for (int i = 0; i < ins; i++) {
      fed[i] = read_output(graph);
      inputs[i] = read_tensor();
    }
    int outs = read_count();
    for (int i = 0; i < outs; i++) fetched[i] = read_output(graph);
    TF_SessionRun(session, NULL, fed, inputs, ins, fetched, outputs, outs, NULL, 0, NULL, status);
    check(status);
    for (int i = 0; i < ins; i++) TF_DeleteTensor(inputs[i]);
    for (int i = 0; i < outs; i++) {
      write_tensor(outputs[i]);
      TF_DeleteTensor(outputs[i]);
    }
    fflush(stdout);
  }
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteSessionOptions(options);
  TF_DeleteGraph(graph);
  TF_DeleteStatus(status);
  return 0;
}
