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

  validation {
    condition     = var.kms_key_arn == "" || can(regex("^arn:[^:]+:kms:[^:]+:[0-9]+:key/", var.kms_key_arn))
    error_message = "The ARN of a key, arn:aws:kms:REGION:ACCOUNT:key/ID: policies grant nothing for an alias."
  }
}

variable "noncurrent_days" {
  description = "Days for which old versions of tables, rollups, manifests and reports are kept"
  type        = number
  default     = 30

  validation {
    condition     = var.noncurrent_days >= 1 && var.noncurrent_days <= 36500 && floor(var.noncurrent_days) == var.noncurrent_days
    error_message = "A whole number from 1 to 36500."
  }
}

variable "snapshots_noncurrent_days" {
  description = "Days for which old versions of snapshots are kept; 0 for ever"
  type        = number
  default     = 0

  validation {
    condition     = var.snapshots_noncurrent_days >= 0 && var.snapshots_noncurrent_days <= 36500 && floor(var.snapshots_noncurrent_days) == var.snapshots_noncurrent_days
    error_message = "A whole number from 0 to 36500."
  }
}

variable "abort_days" {
  description = "Days after which an unfinished multipart upload is removed"
  type        = number
  default     = 7

  validation {
    condition     = var.abort_days >= 1 && var.abort_days <= 36500 && floor(var.abort_days) == var.abort_days
    error_message = "A whole number from 1 to 36500."
  }
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

  validation {
    condition     = var.tables_after_days >= 1 && var.tables_after_days <= 36500 && floor(var.tables_after_days) == var.tables_after_days
    error_message = "A whole number from 1 to 36500."
  }
}

variable "snapshots_class" {
  description = "Storage class of snapshots; GLACIER and DEEP_ARCHIVE need a restore before each read"
  type        = string
  default     = "STANDARD_IA"

  validation {
    condition     = contains(["STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"], var.snapshots_class)
    error_message = "STANDARD, STANDARD_IA, INTELLIGENT_TIERING, GLACIER_IR, GLACIER or DEEP_ARCHIVE."
  }
}

variable "snapshots_after_days" {
  description = "Days after which snapshots move there"
  type        = number
  default     = 30

  validation {
    condition     = var.snapshots_after_days >= 1 && var.snapshots_after_days <= 36500 && floor(var.snapshots_after_days) == var.snapshots_after_days
    error_message = "A whole number from 1 to 36500."
  }
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

  validation {
    condition     = contains(["GOVERNANCE", "COMPLIANCE"], var.lock_mode)
    error_message = "GOVERNANCE or COMPLIANCE."
  }
}

variable "lock_days" {
  description = "Days for which every new version is locked, with object_lock; 0 for none"
  type        = number
  default     = 0

  validation {
    condition     = var.lock_days >= 0 && var.lock_days <= 36500 && floor(var.lock_days) == var.lock_days
    error_message = "A whole number from 0 to 36500."
  }
}

variable "min_tls" {
  description = "Oldest version of TLS that is accepted; empty for any"
  type        = string
  default     = "1.2"

  validation {
    condition     = contains(["", "1.2", "1.3"], var.min_tls)
    error_message = "1.2, 1.3, or empty."
  }
}
