# What each use of the lake needs; `lake bucket policy ROLE` prints the same.

locals {
  arn     = aws_s3_bucket.lake.arn
  objects = "${aws_s3_bucket.lake.arn}/${var.prefix}"
  at_once = [
    "tables/*", "rollups/*", "manifests/*", "reports/*", "guard/*", "audit/*", "holds/*", "retention/*",
    "erasures/*",
  ]
  written   = ["tables/*", "rollups/*", "manifests/*", "reports/*", "audit/*", "guard/*"]
  raw       = ["mongo/*", "prometheus/*", "loki/*"]
  deletable = ["tables/*", "rollups/*", "manifests/*", "reports/*", "mongo/*", "prometheus/*", "loki/*"]
  raw_notes = [
    "mongo/*.json", "mongo/restore.py",
    "prometheus/*.json", "prometheus/restore.py",
    "loki/*.json", "loki/restore.py",
  ]
  own_notes = [
    "manifests/*.next", "manifests/rollups/*", "reports/doctor-*",
    "mongo/*/journal.json", "prometheus/*/journal.json", "loki/*/journal.json",
  ]
}

data "aws_iam_policy_document" "writer" {
  statement {
    sid       = "LakeBucket"
    actions   = ["s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:ListBucketVersions"]
    resources = [local.arn]

    dynamic "condition" {
      for_each = var.prefix == "" ? toset([]) : toset([var.prefix])

      content {
        test     = "StringLikeIfExists"
        variable = "s3:prefix"
        values   = [var.prefix, "${var.prefix}*"]
      }
    }
  }

  statement {
    sid       = "LakeRead"
    actions   = ["s3:GetObject"]
    resources = [for key in local.at_once : "${local.objects}${key}"]
  }

  statement {
    sid       = "LakeReadNotes"
    actions   = ["s3:GetObject"]
    resources = [for key in local.raw_notes : "${local.objects}${key}"]
  }

  statement {
    sid       = "LakeWrite"
    actions   = ["s3:PutObject", "s3:AbortMultipartUpload"]
    resources = [for key in concat(local.written, local.raw) : "${local.objects}${key}"]
  }

  statement {
    sid       = "LakeDeleteNotes"
    actions   = ["s3:DeleteObject"]
    resources = [for key in local.own_notes : "${local.objects}${key}"]
  }

  dynamic "statement" {
    for_each = local.kms ? toset([var.kms_key_arn]) : toset([])

    content {
      sid       = "LakeKey"
      actions   = ["kms:GenerateDataKey", "kms:Decrypt"]
      resources = [statement.value]

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = ["s3.${var.region}.amazonaws.com"]
      }
    }
  }
}

data "aws_iam_policy_document" "reader" {
  statement {
    sid       = "LakeBucket"
    actions   = ["s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:ListBucketVersions"]
    resources = [local.arn]

    dynamic "condition" {
      for_each = var.prefix == "" ? toset([]) : toset([var.prefix])

      content {
        test     = "StringLikeIfExists"
        variable = "s3:prefix"
        values   = [var.prefix, "${var.prefix}*"]
      }
    }
  }

  statement {
    sid       = "LakeRead"
    actions   = ["s3:GetObject"]
    resources = [for key in local.at_once : "${local.objects}${key}"]
  }

  dynamic "statement" {
    for_each = local.kms ? toset([var.kms_key_arn]) : toset([])

    content {
      sid       = "LakeKey"
      actions   = ["kms:Decrypt"]
      resources = [statement.value]

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = ["s3.${var.region}.amazonaws.com"]
      }
    }
  }
}

data "aws_iam_policy_document" "restorer" {
  statement {
    sid       = "LakeBucket"
    actions   = ["s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:ListBucketVersions"]
    resources = [local.arn]

    dynamic "condition" {
      for_each = var.prefix == "" ? toset([]) : toset([var.prefix])

      content {
        test     = "StringLikeIfExists"
        variable = "s3:prefix"
        values   = [var.prefix, "${var.prefix}*"]
      }
    }
  }

  statement {
    sid       = "LakeRead"
    actions   = ["s3:GetObject"]
    resources = ["${local.objects}*"]
  }

  statement {
    sid       = "LakeReport"
    actions   = ["s3:PutObject", "s3:AbortMultipartUpload"]
    resources = ["${local.objects}reports/*"]
  }

  dynamic "statement" {
    for_each = local.kms ? toset([var.kms_key_arn]) : toset([])

    content {
      sid       = "LakeKey"
      actions   = ["kms:GenerateDataKey", "kms:Decrypt"]
      resources = [statement.value]

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = ["s3.${var.region}.amazonaws.com"]
      }
    }
  }
}

data "aws_iam_policy_document" "retention" {
  statement {
    sid = "LakeBucket"
    actions = [
      "s3:ListBucket",
      "s3:ListBucketVersions",
      "s3:ListBucketMultipartUploads",
      "s3:GetBucketVersioning",
      "s3:GetBucketObjectLockConfiguration",
    ]
    resources = [local.arn]

    dynamic "condition" {
      for_each = var.prefix == "" ? toset([]) : toset([var.prefix])

      content {
        test     = "StringLikeIfExists"
        variable = "s3:prefix"
        values   = [var.prefix, "${var.prefix}*"]
      }
    }
  }

  statement {
    sid       = "LakeRead"
    actions   = ["s3:GetObject"]
    resources = ["${local.objects}*"]
  }

  statement {
    sid       = "LakeWrite"
    actions   = ["s3:PutObject", "s3:AbortMultipartUpload"]
    resources = [for key in concat(local.at_once, local.raw) : "${local.objects}${key}"]
  }

  statement {
    sid       = "LakeDelete"
    actions   = ["s3:DeleteObject", "s3:DeleteObjectVersion"]
    resources = [for key in local.deletable : "${local.objects}${key}"]
  }

  statement {
    sid       = "LakeHold"
    actions   = ["s3:GetObjectLegalHold", "s3:PutObjectLegalHold", "s3:GetObjectVersion"]
    resources = [for key in concat(local.at_once, local.raw) : "${local.objects}${key}"]
  }

  dynamic "statement" {
    for_each = local.kms ? toset([var.kms_key_arn]) : toset([])

    content {
      sid       = "LakeKey"
      actions   = ["kms:GenerateDataKey", "kms:Decrypt"]
      resources = [statement.value]

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = ["s3.${var.region}.amazonaws.com"]
      }
    }
  }
}

resource "aws_iam_policy" "writer" {
  name   = "${var.bucket}-writer"
  policy = data.aws_iam_policy_document.writer.json
}

resource "aws_iam_policy" "reader" {
  name   = "${var.bucket}-reader"
  policy = data.aws_iam_policy_document.reader.json
}

resource "aws_iam_policy" "restorer" {
  name   = "${var.bucket}-restorer"
  policy = data.aws_iam_policy_document.restorer.json
}

resource "aws_iam_policy" "retention" {
  name   = "${var.bucket}-retention"
  policy = data.aws_iam_policy_document.retention.json
}
