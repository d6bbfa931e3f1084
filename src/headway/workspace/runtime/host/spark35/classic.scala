package org.apache.spark.sql

/** The names that the host's common sources use, as Spark 4 has them. */
package object classic {
  type SparkSession = org.apache.spark.sql.SparkSession
}
