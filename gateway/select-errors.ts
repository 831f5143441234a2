import type { SelectFaultCode } from '#src/errors.ts'

/** The messages of SelectObjectContent's own errors: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html */
export const selectMessages: Readonly<Record<SelectFaultCode, string>> = {
  AmbiguousFieldName:
    'The field name matches to multiple fields in the file. Check the SQL expression and the file, and try again.',
  Busy: 'The service is unavailable. Try again later.',
  CSVParsingError: 'Encountered an error parsing the CSV file. Check the file and try again.',
  CastFailed: 'An attempt to convert from one data type to another using CAST failed in the SQL expression.',
  EmptyRequestBody: 'The request body cannot be empty.',
  EvaluatorBindingDoesNotExist: 'A column name or a path provided does not exist in the SQL expression.',
  EvaluatorInvalidArguments: 'There is an incorrect number of arguments in the function call in the SQL expression.',
  EvaluatorInvalidTimestampFormatPattern: 'The time stamp format string in the SQL expression is not valid.',
  EvaluatorInvalidTimestampFormatPatternSymbol:
    'The time stamp format pattern contains a symbol in the SQL expression that is not valid.',
  EvaluatorInvalidTimestampFormatPatternSymbolForParsing:
    'The time stamp format string contains a pattern symbol that cannot be applied to time stamp parsing.',
  EvaluatorInvalidTimestampFormatPatternToken:
    'The time stamp format pattern contains a token in the SQL expression that is not valid.',
  EvaluatorLikePatternInvalidEscapeSequence: 'An argument given to the LIKE expression was not valid.',
  EvaluatorNegativeLimit: 'LIMIT must not be negative.',
  EvaluatorTimestampFormatPatternDuplicateFields:
    'The time stamp format pattern contains multiple format specifiers representing the time stamp field in the SQL expression.',
  EvaluatorTimestampFormatPatternHourClockAmPmMismatch:
    'The time stamp format pattern contains a 12-hour hour of day format symbol without an AM/PM field, or the other way round.',
  EvaluatorUnterminatedTimestampFormatPatternToken:
    'The time stamp format pattern contains an unterminated token in the SQL expression.',
  ExpressionTooLong: 'The SQL expression is too long. The maximum byte-length for an SQL expression is 256 KB.',
  ExternalEvalException: 'The query cannot be evaluated. Check the file and try again.',
  IntegerOverflow: 'An integer overflow or underflow occurred in the SQL expression.',
  InvalidColumnIndex: 'The column index in the SQL expression is not valid.',
  InvalidCompressionFormat: 'The file is not in a supported compression format. Only GZIP and BZIP2 are supported.',
  InvalidDataSource: 'The data source type is not valid. Only CSV, JSON, and Parquet are supported.',
  InvalidDataType: 'The SQL expression contains a data type that is not valid.',
  InvalidExpressionType: 'The ExpressionType value is not valid. Only SQL expressions are supported.',
  InvalidFileHeaderInfo: 'The FileHeaderInfo value is not valid. Only NONE, USE, and IGNORE are supported.',
  InvalidJsonType: 'The JsonType value is not valid. Only DOCUMENT and LINES are supported.',
  InvalidKeyPath: 'The key path in the SQL expression is not valid.',
  InvalidQuoteFields: 'The QuoteFields value is not valid. Only ALWAYS and ASNEEDED are supported.',
  InvalidRequestParameter:
    'The value of a parameter in the SelectRequest element is not valid. Check the service API documentation and try again.',
  InvalidScanRange: 'The provided scan range is not valid.',
  InvalidTextEncoding: 'The encoding type is not valid. Only UTF-8 encoding is supported.',
  JSONParsingError: 'Encountered an error parsing the JSON file. Check the file and try again.',
  LexerInvalidChar: 'The SQL expression contains a character that is not valid.',
  LexerInvalidIONLiteral: 'The SQL expression contains an Ion literal that is not valid.',
  LexerInvalidLiteral: 'The SQL expression contains a literal that is not valid.',
  LikeInvalidInputs: 'Invalid argument given to the LIKE clause in the SQL expression.',
  MissingHeaders: 'Some headers in the query are missing from the file. Check the file and try again.',
  MissingRequiredParameter:
    'The SelectRequest entity is missing a required parameter. Check the service documentation and try again.',
  MultipleDataSourcesUnsupported: 'Multiple data sources are not supported.',
  ObjectSerializationConflict: 'InputSerialization and OutputSerialization may each specify only one format.',
  OverMaxColumn: 'The number of columns is greater than the maximum allowable number of columns.',
  OverMaxParquetBlockSize: 'The Parquet file is above the max row group size.',
  OverMaxRecordSize: 'The length of a record in the input or result is greater than the maxCharsPerRecord limit.',
  ParquetParsingError: 'Error parsing Parquet file. Please check the file and try again.',
  ParquetUnsupportedCompressionCodec: 'The specified Parquet compression codec is not supported.',
  ParseAsteriskIsNotAloneInSelectList:
    'Other expressions are not allowed in the SELECT list when * is used without dot notation in the SQL expression.',
  ParseEmptySelect: 'The SQL expression contains an empty SELECT clause.',
  ParseExpectedArgumentDelimiter: 'Did not find the expected argument delimiter in the SQL expression.',
  ParseExpectedDatePart: 'Did not find the expected date part in the SQL expression.',
  ParseExpectedExpression: 'Did not find the expected SQL expression.',
  ParseExpectedIdentForAlias: 'Did not find the expected identifier for the alias in the SQL expression.',
  ParseExpectedKeyword: 'Did not find the expected keyword in the SQL expression.',
  ParseExpectedLeftParenAfterCast: 'Did not find the expected left parenthesis after CAST in the SQL expression.',
  ParseExpectedNumber: 'Did not find the expected number in the SQL expression.',
  ParseExpectedRightParenBuiltinFunctionCall:
    'Did not find the expected right parenthesis character in the SQL expression.',
  ParseExpectedTokenType: 'Did not find the expected token in the SQL expression.',
  ParseExpectedTypeName: 'Did not find the expected type name in the SQL expression.',
  ParseExpectedWhenClause: 'Did not find the expected WHEN clause in the SQL expression.',
  ParseInvalidContextForWildcardInSelectList: 'The use of * in the SELECT list in the SQL expression is not valid.',
  ParseInvalidPathComponent: 'The SQL expression contains a path component that is not valid.',
  ParseNonUnaryAgregateFunctionCall: 'Only one argument is supported for aggregate functions in the SQL expression.',
  ParseSelectMissingFrom: 'The SQL expression contains a missing FROM after the SELECT list.',
  ParseUnexpectedToken: 'The SQL expression contains an unexpected token.',
  ParseUnsupportedCallWithStar: 'Only COUNT with (*) as a parameter is supported in the SQL expression.',
  TruncatedInput:
    'Object decompression failed. Check that the object is properly compressed using the format specified in the request.',
  UnsupportedFunction: 'Encountered an unsupported SQL function.',
  UnsupportedScanRangeInput: 'Scan range queries are not supported on this type of object.',
  UnsupportedSqlOperation: 'Encountered an unsupported SQL operation.',
  UnsupportedSqlStructure: 'Encountered an unsupported SQL structure. Check the SQL Reference.',
}
