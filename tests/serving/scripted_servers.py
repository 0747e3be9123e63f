"""Servers of REST and of gRPC that do with one request after another what a script says."""

import asyncio
import threading
import time
from concurrent import futures

import grpc
import numpy as np
import pytest
import tensorflow as tf
from aiohttp import web
from tensorflow_serving.apis import predict_pb2

LOWEST = float(np.finfo("float32").min)
CODES = {503: "UNAVAILABLE", 400: "INVALID_ARGUMENT", 500: "UNKNOWN", 504: "DEADLINE_EXCEEDED"}


class Script:
    """What a server does with one request after another: a status, or how long it takes.

    After the last it answers every source with capitals.
    """

    def __init__(self, *acts):
        self.acts = list(acts)
        self.asked = []
        self.lock = threading.Lock()

    def next(self, signature, sources):
        with self.lock:
            self.asked.append((signature, sources))
            return self.acts.pop(0) if self.acts else 200


def columns(signature, sources):
    many = signature == "nbest"
    texts = [[s.upper(), s, ""] if many else s.upper() for s in sources]
    scores = [[-0.5, -1.5, LOWEST] if many else -0.5 for _ in sources]
    return texts, scores


def reply(signature, sources):
    answered, scores = columns(signature, sources)
    message = predict_pb2.PredictResponse()
    message.outputs["text"].CopyFrom(tf.make_tensor_proto(answered))
    for name in ("score", "log_prob"):
        message.outputs[name].CopyFrom(tf.make_tensor_proto(scores, tf.float32))
    return message


def prediction_service(predict):
    handler = grpc.unary_unary_rpc_method_handler(
        predict,
        predict_pb2.PredictRequest.FromString,
        predict_pb2.PredictResponse.SerializeToString,
    )
    service = "tensorflow.serving.PredictionService"
    return grpc.method_handlers_generic_handler(service, {"Predict": handler})


@pytest.fixture
def rest_server():
    """A server of REST that follows a script."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(work):
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    runners = []

    def start(script):
        async def handle(request):
            body = await request.json()
            act = script.next(body["signature_name"], body["inputs"]["text"])
            if isinstance(act, float):
                await asyncio.sleep(act)
            elif act != 200:
                return web.json_response({"error": "no"}, status=act)
            texts, scores = columns(body["signature_name"], body["inputs"]["text"])
            outputs = {"text": texts, "score": scores, "log_prob": scores}
            return web.json_response({"outputs": outputs})

        async def started():
            application = web.Application()
            application.router.add_post("/v1/models/seq2seq:predict", handle)
            runner = web.AppRunner(application, shutdown_timeout=0.1)
            runners.append(runner)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            return f"http://127.0.0.1:{runner.addresses[0][1]}"

        return run(started())

    yield start
    for runner in runners:
        run(runner.cleanup())
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def grpc_server():
    """The same of gRPC."""
    servers = []

    def start(script):
        def predict(request, context):
            texts = [t.decode() for t in request.inputs["text"].string_val]
            act = script.next(request.model_spec.signature_name, texts)
            if isinstance(act, float):
                time.sleep(act)
            elif act != 200:
                context.abort(getattr(grpc.StatusCode, CODES[act]), "no")
            return reply(request.model_spec.signature_name, texts)

        server = grpc.server(futures.ThreadPoolExecutor(8))
        server.add_generic_rpc_handlers((prediction_service(predict),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        return f"127.0.0.1:{port}"

    yield start
    for server in servers:
        server.stop(0)
