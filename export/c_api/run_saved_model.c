/* Runs a SavedModel through TensorFlow's C API, the runtime below TensorFlow Serving, with nothing else around it.
 *
 *     run_saved_model DIRECTORY < requests > answers
 *
 * Requests are words, separated by white space:
 *
 *     input OPERATION INDEX int32|float32|uint8|string RANK DIMENSION... VALUE...
 *     output OPERATION INDEX
 *     run
 *
 * `run` feeds the inputs since the last `run`, fetches the outputs in their order, and answers
 *
 *     tensor int32|float32|string RANK DIMENSION... VALUE...     (one line for each output)
 *     done
 *
 * or `error MESSAGE`, in one line, and goes on with the next request. The exit status is 1 if the model cannot be
 * loaded, and 2 if the requests are not of this form. The value of a string is an x and its bytes in hexadecimal digits.
 */

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"

#define MAX_TENSORS 32
#define MAX_RANK 8

static void fail(int status, const char* what, const char* detail) {
  fprintf(stderr, "run_saved_model: %s%s%s\n", what, *detail ? ": " : "", detail);
  exit(status);
}

static long long read_integer(void) {
  long long value;
  if (scanf("%lld", &value) != 1) fail(2, "an integer was expected in the requests", "");
  return value;
}

static TF_Output read_operation(TF_Graph* graph) {
  char name[512];
  if (scanf("%511s", name) != 1) fail(2, "the name of an operation was expected in the requests", "");
  TF_Output output = {TF_GraphOperationByName(graph, name), (int)read_integer()};
  if (output.oper == NULL) fail(2, "the graph has no such operation", name);
  if (output.index < 0 || output.index >= TF_OperationNumOutputs(output.oper)) {
    fail(2, "the operation has no such output", name);
  }
  return output;
}

static int read_digit(void) {
  const int character = getchar();
  if (character >= '0' && character <= '9') return character - '0';
  if (character >= 'a' && character <= 'f') return character - 'a' + 10;
  if (character != EOF) ungetc(character, stdin);
  return -1;
}

static void read_string(TF_TString* string) {
  char mark, *bytes = NULL;
  if (scanf(" %c", &mark) != 1 || mark != 'x') fail(2, "a string was expected in the requests", "");
  size_t size = 0, capacity = 0;
  for (int high = read_digit(); high >= 0; high = read_digit()) {
    const int low = read_digit();
    if (low < 0) fail(2, "a string has half a byte", "");
    if (size == capacity) bytes = realloc(bytes, capacity = 2 * capacity + 64);
    if (bytes == NULL) fail(2, "a string is too large", "");
    bytes[size++] = (char)(16 * high + low);
  }
  TF_TString_Init(string);
  if (size > 0) TF_TString_Copy(string, bytes, size);
  free(bytes);
}

static TF_Tensor* read_tensor(void) {
  char type[16];
  if (scanf("%15s", type) != 1) fail(2, "a type was expected in the requests", "");
  static const struct {
    const char* name;
    TF_DataType type;
    size_t size;
  } kinds[] = {
      {"int32", TF_INT32, 4},
      {"float32", TF_FLOAT, 4},
      {"uint8", TF_UINT8, 1},
      {"string", TF_STRING, sizeof(TF_TString)},
  };
  size_t kind = 0;
  while (kind < sizeof(kinds) / sizeof(*kinds) && strcmp(type, kinds[kind].name) != 0) ++kind;
  if (kind == sizeof(kinds) / sizeof(*kinds)) fail(2, "unknown type", type);
  const long long rank = read_integer();
  if (rank < 0 || rank > MAX_RANK) fail(2, "a rank is out of range", "");
  int64_t dimensions[MAX_RANK];
  size_t count = 1;
  for (int i = 0; i < rank; ++i) {
    dimensions[i] = read_integer();
    if (dimensions[i] < 0 || dimensions[i] > 1 << 20) fail(2, "a dimension is out of range", "");
    count *= (size_t)dimensions[i];
  }
  TF_Tensor* tensor = TF_AllocateTensor(kinds[kind].type, dimensions, (int)rank, kinds[kind].size * count);
  if (tensor == NULL) fail(2, "a tensor is too large", "");
  void* data = TF_TensorData(tensor);
  for (size_t i = 0; i < count; ++i) {
    switch (kinds[kind].type) {
      case TF_FLOAT:
        if (scanf("%f", (float*)data + i) != 1) fail(2, "a float was expected in the requests", "");
        break;
      case TF_STRING:
        read_string((TF_TString*)data + i);
        break;
      case TF_UINT8:
        ((uint8_t*)data)[i] = (uint8_t)read_integer();
        break;
      default:
        ((int32_t*)data)[i] = (int32_t)read_integer();
    }
  }
  return tensor;
}

static void delete_tensor(TF_Tensor* tensor) {
  if (TF_TensorType(tensor) == TF_STRING) {
    TF_TString* strings = TF_TensorData(tensor);
    for (int64_t i = 0; i < TF_TensorElementCount(tensor); ++i) TF_TString_Dealloc(strings + i);
  }
  TF_DeleteTensor(tensor);
}

static void print_tensor(const TF_Tensor* tensor) {
  const TF_DataType type = TF_TensorType(tensor);
  if (type != TF_FLOAT && type != TF_INT32 && type != TF_STRING) {
    fail(2, "an output is neither int32 nor float32 nor string", "");
  }
  printf("tensor %s %d", type == TF_FLOAT ? "float32" : type == TF_INT32 ? "int32" : "string", TF_NumDims(tensor));
  for (int i = 0; i < TF_NumDims(tensor); ++i) printf(" %" PRId64, TF_Dim(tensor, i));
  const int64_t count = TF_TensorElementCount(tensor);
  for (int64_t i = 0; i < count; ++i) {
    /* Nine digits are enough for a float to be read back as it was. */
    if (type == TF_FLOAT) {
      printf(" %.9g", ((const float*)TF_TensorData(tensor))[i]);
    } else if (type == TF_STRING) {
      const TF_TString* string = (const TF_TString*)TF_TensorData(tensor) + i;
      const unsigned char* bytes = (const unsigned char*)TF_TString_GetDataPointer(string);
      printf(" x");
      for (size_t j = 0; j < TF_TString_GetSize(string); ++j) printf("%02x", bytes[j]);
    } else {
      printf(" %" PRId32, ((const int32_t*)TF_TensorData(tensor))[i]);
    }
  }
  printf("\n");
}

static void print_error(const char* message) {
  printf("error ");
  for (; *message; ++message) putchar(*message == '\n' || *message == '\r' ? ' ' : *message);
  printf("\n");
}

int main(int argc, char** argv) {
  if (argc != 2) fail(2, "usage: run_saved_model DIRECTORY < requests > answers", "");
  TF_Status* status = TF_NewStatus();
  TF_Graph* graph = TF_NewGraph();
  TF_SessionOptions* options = TF_NewSessionOptions();
  const char* tags[] = {"serve"};
  TF_Session* session = TF_LoadSessionFromSavedModel(options, NULL, argv[1], tags, 1, graph, NULL, status);
  if (TF_GetCode(status) != TF_OK) fail(1, "the model cannot be loaded", TF_Message(status));

  TF_Output inputs[MAX_TENSORS], outputs[MAX_TENSORS];
  TF_Tensor *fed[MAX_TENSORS], *fetched[MAX_TENSORS];
  int num_inputs = 0, num_outputs = 0;
  char word[16];
  while (scanf("%15s", word) == 1) {
    if (strcmp(word, "input") == 0 && num_inputs < MAX_TENSORS) {
      inputs[num_inputs] = read_operation(graph);
      fed[num_inputs++] = read_tensor();
    } else if (strcmp(word, "output") == 0 && num_outputs < MAX_TENSORS) {
      outputs[num_outputs++] = read_operation(graph);
    } else if (strcmp(word, "run") == 0) {
      TF_SessionRun(session, NULL, inputs, fed, num_inputs, outputs, fetched, num_outputs, NULL, 0, NULL, status);
      if (TF_GetCode(status) == TF_OK) {
        for (int i = 0; i < num_outputs; ++i) {
          print_tensor(fetched[i]);
          TF_DeleteTensor(fetched[i]);
        }
        printf("done\n");
      } else {
        print_error(TF_Message(status));
      }
      for (int i = 0; i < num_inputs; ++i) delete_tensor(fed[i]);
      num_inputs = num_outputs = 0;
    } else {
      fail(2, "the requests have an unknown word or too many tensors", word);
    }
  }
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteSessionOptions(options);
  TF_DeleteGraph(graph);
  TF_DeleteStatus(status);
  return 0;
}
