"""What both APIs answer about models, as TensorFlow Serving's messages."""

from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from export.laptop.errors import RequestError, invalid


def metadata(version):
    """The `GetModelMetadataResponse` of a version: its signatures."""
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = version.name
    response.model_spec.version.value = version.number
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for name, signature in version.signatures.items():
        signatures.signature_def[name].CopyFrom(signature)
    response.metadata["signature_def"].Pack(signatures)
    return response


def status(states):
    """The `GetModelStatusResponse` of what `Models.states` gives."""
    response = get_model_status_pb2.GetModelStatusResponse()
    for number, state, error in states:
        one = response.model_version_status.add(version=number, state=state)
        if error:
            one.status.error_code, one.status.error_message = 2, error
        else:
            one.status.error_code = 0
    return response


def wrong_method(version, signature, method):
    """Why classify, regress and the like are refused: an export has signatures for predict only."""
    if signature not in version.signatures:
        return RequestError("FAILED_PRECONDITION", f'Serving signature key "{signature}" not found.')
    found = version.signatures[signature].method_name
    return invalid(f"Expected {method} signature method_name to be tensorflow/serving/{method}. Was: {found}")
