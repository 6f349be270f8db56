"""Models behind vLLM and Triton, as users feel them."""

from bedplate.monitoring.dashboards.grafana import RATE, SERVICE, Dashboard, Panel, Query, lines, number

_ALL = '{service=~"$service"}'
_MODEL = "{{service}} {{model}}"


def _quantile(share: float, histogram: str) -> str:
    return f"histogram_quantile({share}, sum by (le, service) (rate({histogram}_bucket{_ALL}[{RATE}])))"


def _quantiles(title: str, histogram: str, shares: tuple[float, ...], note: str = "") -> Panel:
    queries = tuple(
        Query(_quantile(share, histogram), f"{{{{service}}}} {share * 100:.0f} %") for share in shares
    )
    return Panel(title, queries, "s", note=note)


def _triton(metric: str) -> str:
    return f"sum by (service, model) (rate({metric}{_ALL}[{RATE}]))"


BOARD = Dashboard(
    "bedplate-serving",
    "Serving",
    (
        number("vLLM replicas", 'sum(up{job="vllm", service=~"$service"})'),
        number("Expected", f"sum(bedplate:expected_vllm_replicas{_ALL})"),
        number("Waiting", f"sum(vllm:num_requests_waiting{_ALL})"),
        number("Running", f"sum(vllm:num_requests_running{_ALL})"),
        number("Tokens", f"sum(rate(vllm:generation_tokens_total{_ALL}[{RATE}]))", "cps"),
        number("Triton replicas", 'sum(up{job="triton", service=~"$service"})'),
        _quantiles("First token", "vllm:time_to_first_token_seconds", (0.5, 0.95, 0.99)),
        _quantiles("Between two tokens", "vllm:inter_token_latency_seconds", (0.5, 0.99)),
        _quantiles("Whole answers", "vllm:e2e_request_latency_seconds", (0.5, 0.95)),
        lines("Waiting by model", f"sum by (service) (vllm:num_requests_waiting{_ALL})", "{{service}}"),
        Panel(
            "Tokens by model",
            (
                Query(
                    f"sum by (service) (rate(vllm:generation_tokens_total{_ALL}[{RATE}]))",
                    "{{service}} written",
                ),
                Query(f"sum by (service) (rate(vllm:prompt_tokens_total{_ALL}[{RATE}]))", "{{service}} read"),
            ),
            "cps",
        ),
        lines(
            "Requests by how they end",
            f"sum by (service, finished_reason) (rate(vllm:request_success_total{_ALL}[{RATE}]))",
            "{{service}} {{finished_reason}}",
            "reqps",
        ),
        lines("Errors", f"bedplate:vllm_errors:ratio{_ALL}", "{{service}}", "percentunit"),
        lines(
            "KV cache", f"max by (service, pod) (vllm:kv_cache_usage_perc{_ALL})", "{{pod}}", "percentunit"
        ),
        lines(
            "Requests put back",
            f"sum by (service, pod) (rate(vllm:num_preemptions_total{_ALL}[{RATE}]))",
            "{{pod}}",
            "cps",
        ),
        lines(
            "Prompts found in the cache",
            f"sum by (service) (rate(vllm:prefix_cache_hits_total{_ALL}[{RATE}])) / on (service) "
            f"sum by (service) (rate(vllm:prefix_cache_queries_total{_ALL}[{RATE}]))",
            "{{service}}",
            "percentunit",
        ),
        lines("Triton latency", f"bedplate:triton_latency:ms{_ALL}", _MODEL, "ms"),
        lines(
            "Triton time in the queue",
            f"{_triton('nv_inference_queue_duration_us')} / on (service, model) "
            f"{_triton('nv_inference_request_success')} / 1000",
            _MODEL,
            "ms",
        ),
        Panel(
            "Triton requests",
            (
                Query(_triton("nv_inference_request_success"), f"{_MODEL} well"),
                Query(_triton("nv_inference_request_failure"), f"{_MODEL} failed"),
            ),
            "reqps",
        ),
        lines(
            "Triton requests waiting",
            f"sum by (service, model) (nv_inference_pending_request_count{_ALL})",
            _MODEL,
        ),
        lines(
            "Triton batch size",
            f"{_triton('nv_inference_count')} / on (service, model) {_triton('nv_inference_exec_count')}",
            _MODEL,
        ),
    ),
    (SERVICE,),
)
