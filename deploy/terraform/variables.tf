# The names and defaults are those of lake.toml: [lake] root, [s3], [bucket].

variable "bucket" {
  description = "Name of the bucket"
  type        = string
}

variable "prefix" {
  description = "What every key begins with: \"\" for s3://bucket, \"team/\" for s3://bucket/team"
  type        = string
  default     = ""

  validation {
    condition     = var.prefix == "" || can(regex("^[^/].*/$", var.prefix))
    error_message = "Empty, or without a slash at its beginning and with one at its end."
  }
}

variable "region" {
  description = "Region of the bucket"
  type        = string
}

variable "kms_key_arn" {
  description = "ARN of the KMS key; empty for SSE-S3"
  type        = string
  default     = ""
}

variable "noncurrent_days" {
  description = "Days for which old versions of tables, rollups, manifests and reports are kept"
  type        = number
  default     = 30
}

variable "snapshots_noncurrent_days" {
  description = "Days for which old versions of snapshots are kept; 0 for ever"
  type        = number
  default     = 0
}

variable "abort_days" {
  description = "Days after which an unfinished multipart upload is removed"
  type        = number
  default     = 7
}

variable "tables_class" {
  description = "Storage class of tables and rollups; STANDARD moves nothing"
  type        = string
  default     = "INTELLIGENT_TIERING"

  validation {
    condition     = contains(["STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING", "GLACIER_IR"], var.tables_class)
    error_message = "Queries read tables at once: STANDARD, STANDARD_IA, INTELLIGENT_TIERING or GLACIER_IR."
  }
}

variable "tables_after_days" {
  description = "Days after which tables and rollups move there"
  type        = number
  default     = 30
}

variable "snapshots_class" {
  description = "Storage class of snapshots; GLACIER and DEEP_ARCHIVE need a restore before each read"
  type        = string
  default     = "STANDARD_IA"
}

variable "snapshots_after_days" {
  description = "Days after which snapshots move there"
  type        = number
  default     = 30
}

variable "object_lock" {
  description = "Whether versions can be locked; can't be switched off"
  type        = bool
  default     = false
}

variable "lock_mode" {
  description = "GOVERNANCE or COMPLIANCE"
  type        = string
  default     = "GOVERNANCE"
}

variable "lock_days" {
  description = "Days for which every new version is locked; 0 for none"
  type        = number
  default     = 0
}

variable "min_tls" {
  description = "Oldest version of TLS that is accepted; empty for any"
  type        = string
  default     = "1.2"
}
