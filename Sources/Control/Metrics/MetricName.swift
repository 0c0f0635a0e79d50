/// Names on a node's page of metrics that are written and read here.
enum MetricName {
  static let node = "keelson_node_info"
  static let time = "keelson_page_time_seconds"
  static let connections = "keelson_target_connections"
  static let targetCommands = "keelson_target_commands_total"
  static let targetBytes = "keelson_target_bytes_total"
  static let optimized = "keelson_volume_optimized"
  static let commands = "keelson_volume_commands_total"
  static let bytes = "keelson_volume_bytes_total"
  static let failures = "keelson_volume_failures_total"
  static let latency = "keelson_volume_latency_seconds"
  static let state = "keelson_volume_state"
  static let rebuildToDo = "keelson_rebuild_to_do_bytes"
  static let rebuildDone = "keelson_rebuild_done_bytes"
  static let rebuildRate = "keelson_rebuild_bytes_per_second"
  static let poolSize = "keelson_pool_size_bytes"
  static let poolFree = "keelson_pool_free_bytes"

  static let read = "read"
  static let write = "write"
  static let hostRole = "host"
  static let replicaRole = "replica"
}
